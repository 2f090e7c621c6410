"""An atom's surroundings: what is asked for on the way, and what is found."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final
from uuid import UUID

from services.extractor.neighbours import Surroundings, explore

_NUMBERS: Final = count(1)
HUB, FAR, FARTHEST = (UUID(int=next(_NUMBERS)) for _ in range(3))
LEAVES: Final = [UUID(int=next(_NUMBERS)) for _ in range(100)]


class Links:
    """A connection that knows some links, and remembers whose it was asked for."""

    def __init__(self, links: Sequence[tuple[UUID, UUID, float]]) -> None:
        self._links = links
        self.asked: list[list[UUID]] = []

    async def fetch(self, query: str, workspace: UUID, atoms: list[UUID], *rest: Any) -> list[Any]:
        """The links of some atoms."""
        self.asked.append(atoms)
        return [
            {"from_atom_id": one, "to_atom_id": other, "type": "refines", "confidence": sure}
            for one, other, sure in self._links
            if one in atoms or other in atoms
        ]


async def surroundings(links: Links, depth: int, limit: int) -> Surroundings:
    """What lies around the hub."""
    connection: Any = links
    return await explore(connection, UUID(int=0), HUB, depth, (), 0.0, limit)


async def test_no_more_is_walked_than_is_wanted() -> None:
    """With as many neighbours as are wanted, only links among them may still be asked for: deeper ones come after."""
    spokes = [(HUB, leaf, 1 - place / 200) for place, leaf in enumerate(LEAVES)]
    chain = [(LEAVES[0], LEAVES[1], 0.5), (LEAVES[0], FAR, 1.0), (FAR, FARTHEST, 1.0)]
    links = Links(spokes + chain)
    found = await surroundings(links, 3, 3)
    assert links.asked == [[HUB], LEAVES[:3]]
    assert [each.atom for each in found.reached] == LEAVES[:3]
    ends = [(link["from_atom_id"], link["to_atom_id"]) for link in found.links]
    assert ends == [*((HUB, leaf) for leaf in LEAVES[:3]), (LEAVES[0], LEAVES[1])]
    everything = await surroundings(Links(spokes + chain), 3, 500)
    assert [each.atom for each in everything.reached] == [*LEAVES, FAR, FARTHEST]
