"""An atom's surroundings: which others its links lead to, over how many, and how surely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.extractor import library


@dataclass(frozen=True, slots=True)
class Reached:
    """An atom that links lead to; `confidence` is the product along the surest way."""

    atom: UUID
    depth: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The neighbours of an atom, nearest and surest first, and the links among them and it."""

    reached: tuple[Reached, ...]
    links: tuple[Any, ...]


async def explore(
    connection: Connection,
    workspace: UUID,
    atom: UUID,
    depth: int,
    types: Sequence[str],
    confidence_min: float,
    limit: int,
) -> Surroundings:
    """Walk the links of an atom, a query a step, no farther than it takes to have as many as are wanted."""
    reached: dict[UUID, Reached] = {atom: Reached(atom, 0, 1.0)}
    links: dict[tuple[UUID, UUID, str], Any] = {}
    edge = [atom]
    for step in range(1, depth + 1):
        enough = len(reached) > limit
        if enough:
            # What lies deeper comes after them; links among them may still be unknown.
            kept = {each.atom for each in _ranked(reached)[: limit + 1]}
            edge = [each for each in edge if each in kept]
        rows = await library.links(connection, workspace, edge, types, confidence_min)
        links |= {(row["from_atom_id"], row["to_atom_id"], row["type"]): row for row in rows}
        if enough:
            break
        edge = walk(reached, rows, step)
    ranked = _ranked(reached)
    kept = {each.atom for each in ranked[: limit + 1]}
    among = [row for ends, row in sorted(links.items()) if ends[0] in kept and ends[1] in kept]
    return Surroundings(tuple(ranked[1 : limit + 1]), tuple(among))


def _ranked(reached: Mapping[UUID, Reached]) -> list[Reached]:
    """The nearest first, and of those the surest."""
    return sorted(reached.values(), key=lambda each: (each.depth, -each.confidence, each.atom))


def walk(reached: dict[UUID, Reached], links: Sequence[Mapping[str, Any]], step: int) -> list[UUID]:
    """Add to what was reached all that one more link leads to; return what is new."""
    found: dict[UUID, float] = {}
    for link in links:
        ends = (link["from_atom_id"], link["to_atom_id"])
        for start, end in (ends, ends[::-1]):
            known = reached.get(start)
            if known is not None and end not in reached:
                found[end] = max(found.get(end, 0.0), known.confidence * link["confidence"])
    reached |= {end: Reached(end, step, confidence) for end, confidence in found.items()}
    return sorted(found)
