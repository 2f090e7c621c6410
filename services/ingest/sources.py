"""The ids of sources, remembered so that a batch needs no query for its own."""

from collections import OrderedDict
from uuid import UUID

from services.common.database import Connection
from services.ingest import store
from services.ingest.store import SourceKey


class Sources:
    """Finds or makes sources; committed ones are remembered, the least used are forgotten."""

    def __init__(self, remembered_max: int = 10_000) -> None:
        self._known: OrderedDict[tuple[UUID, str, str], UUID] = OrderedDict()
        self._remembered_max = remembered_max

    async def resolve(self, connection: Connection, workspace: UUID, source: SourceKey) -> UUID:
        """Return a source's id, making it if it is new; one that is there is not locked: its messages come first."""
        known = self._known.get((workspace, source.kind, source.external_id))
        found = known or await store.find_source(connection, workspace, source)
        if found:
            return found
        made = await store.make_source(connection, workspace, source)
        found = made or await store.find_source(connection, workspace, source)
        if found is None:
            raise LookupError(f"source {source.external_id} is neither new nor known")
        return found

    async def find(self, connection: Connection, workspace: UUID, source: SourceKey) -> UUID | None:
        """Return the id of a source, or None if it was never named."""
        known = self._known.get((workspace, source.kind, source.external_id))
        return known or await store.find_source(connection, workspace, source)

    def remember(self, workspace: UUID, source: SourceKey, found: UUID) -> None:
        """Remember a source that is committed."""
        key = (workspace, source.kind, source.external_id)
        self._known[key] = found
        self._known.move_to_end(key)
        if len(self._known) > self._remembered_max:
            self._known.popitem(last=False)
