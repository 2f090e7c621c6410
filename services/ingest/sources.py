"""Sources by their keys, remembered so that a batch needs no query for its own."""

from collections import OrderedDict
from uuid import UUID

from services.common.database import Connection
from services.ingest import store
from services.ingest.store import KnownSource, SourceKey


class Sources:
    """Finds or makes sources; committed ones are remembered, the least used are forgotten."""

    def __init__(self, remembered_max: int = 10_000) -> None:
        self._known: OrderedDict[tuple[UUID, str, str], KnownSource] = OrderedDict()
        self._remembered_max = remembered_max

    async def resolve(self, connection: Connection, workspace: UUID, source: SourceKey) -> UUID:
        """Return a source's id, making it if it is new; one that is there is not locked: its messages come first."""
        found = await self.find(connection, workspace, source)
        if found:
            return found.id
        made = await store.make_source(connection, workspace, source)
        found = None if made else await store.find_source(connection, workspace, source)
        if made is None and found is None:
            raise LookupError(f"source {source.external_id} is neither new nor known")
        return made or found.id  # type: ignore[union-attr]

    async def find(
        self, connection: Connection, workspace: UUID, source: SourceKey
    ) -> KnownSource | None:
        """Return a source by a key that it has or had, or None if it was never named."""
        known = self._known.get(_place(workspace, source))
        return known or await store.find_source(connection, workspace, source)

    def recall(self, workspace: UUID, source: SourceKey) -> KnownSource | None:
        """Return a source if it is remembered; it may have moved since."""
        return self._known.get(_place(workspace, source))

    def remember(self, workspace: UUID, source: SourceKey, found: KnownSource) -> None:
        """Remember a source that is committed."""
        key = _place(workspace, source)
        self._known[key] = found
        self._known.move_to_end(key)
        if len(self._known) > self._remembered_max:
            self._known.popitem(last=False)

    def forget(self, source_id: UUID) -> None:
        """Forget a source that has moved, by every key that it had."""
        for key in [key for key, known in self._known.items() if known.id == source_id]:
            del self._known[key]


def _place(workspace: UUID, source: SourceKey) -> tuple[UUID, str, str]:
    return workspace, source.kind, source.external_id
