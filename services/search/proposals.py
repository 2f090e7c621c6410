"""What a copy of the vectors proposes, looked up in the database, which knows better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.database import Connection
from services.search.aims import Aim
from services.search.copies import FRESH_ROWS_MAX, Copy
from services.search.nearest import nearest_known, unite
from services.search.store import Filter, Near, Scope, Subject


@dataclass(slots=True)
class Proposals:
    """Asks a copy for so many subjects, and for more until the database finds enough of them."""

    copy: Copy
    connection: Connection
    scope: Scope
    limit: int
    # How many vectors it has met that the copy does not know.
    fresh: int = 0

    async def nearest(self, aim: Aim, listed: Mapping[str, bytes] | None) -> list[Near] | None:
        """Return what is nearest of what is listed, of all if nothing is.

        None if the copy is too far behind, or does not hold enough that satisfies the filter.
        """
        found = await (self._of_all(aim) if listed is None else self._among(aim, listed))
        return None if found is None else aim.measured(found[: self.limit])

    async def _among(self, aim: Aim, listed: Mapping[str, bytes]) -> list[Near] | None:
        found = list[Near]()
        for count in among(self.limit, len(self.copy)):
            # What is written while the copy is asked is newer than this.
            since = self.copy.moment.arguments
            near, is_all = await self.copy.nearest_among(listed, aim.value, count)
            subjects = [Subject(kind, each) for kind in near for each in near[kind]]
            nearest = await self._looked_up(aim, subjects, since)
            if nearest is None:
                return None
            found = nearest
            if is_all or len(found) >= self.limit:
                break
        return found

    async def _of_all(self, aim: Aim) -> list[Near] | None:
        asked = done = 0
        near, found = dict[str, list[UUID]](), list[Near]()
        for count, looked_up in lookups_of(self.scope.filter, self.limit):
            if count > asked:
                asked, since, rows = count, self.copy.moment.arguments, len(self.copy)
                # A filter may leave any of them, and of what it drops nobody sees what stood before it.
                sure = self.limit if self.scope.filter.is_empty else 2 * count
                near, done = await self.copy.nearest(self.scope.kinds, aim.value, count, sure), 0
            if looked_up <= done:
                continue
            places = slice(done, looked_up)
            subjects = [Subject(kind, each) for kind in near for each in near[kind][places]]
            nearest = await self._looked_up(aim, subjects, since)
            if nearest is None:
                return None
            found, done = unite([found, nearest]), looked_up
            if len(found) >= self.limit or looked_up >= rows:
                return found
        return None

    async def _looked_up(
        self, aim: Aim, subjects: Sequence[Subject], since: tuple[str, list[str]]
    ) -> list[Near] | None:
        """Look up subjects, and what was written since; None if that is too much."""
        known = (subjects, since, FRESH_ROWS_MAX)
        where = (self.connection, self.scope, aim.value, self.limit)
        nearest, fresh = await nearest_known(*where, *known)
        self.fresh += fresh
        return nearest if fresh < FRESH_ROWS_MAX else None


def lookups_of(chosen: Filter, limit: int) -> Sequence[tuple[int, int]]:
    """How many of the nearest in a copy are asked for, and how many of them looked up, to find so many.

    Some are gone, and a filter drops others: each next step is taken where the one before gives too little. To ask for
    more costs less than to ask again, and to look up costs more than both.
    """
    if chosen.is_empty:
        few, more = limit + limit // 4 + 20, 4 * limit + 200
        return (few, few), (more, more)
    many, most = max(400, 4 * limit), max(2_000, 20 * limit)
    first, second = limit + 40, 5 * limit + 150
    return (many, first), (many, min(second, many)), (many, many), (most, most // 2), (most, most)


def among(limit: int, rows: int) -> Sequence[int]:
    """How much of what a filter leaves is looked up to find so many: more if some are gone, at last all."""
    return limit + 40, 5 * limit + 150, rows
