"""What stands around some messages of their conversations, read at once: each message once, in parallel lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

import numpy as np

from services.common.database import Connection
from services.search.ranking import Positions
from services.search.speech import ASKING_WORDS_MAX, Said
from services.search.statements import statement
from services.search.store import Filter, Row

_SAID: Final = ("asks", "mute", "messages", "replies_to", "authors", "names", "openings")


@dataclass(frozen=True, slots=True)
class Sightings:
    """From which anchor which message is seen, by their numbers, and how many messages after it; in parallel."""

    anchors: Positions
    places: Positions
    steps: Positions


@dataclass(frozen=True, slots=True)
class Vicinity:
    """The live messages around some anchors, and the anchors: in parallel their ids, which terms occur in them (a bit
    each), the counts of their distinct words, whether they satisfy the filter, and how they speak; then who sees whom.
    """

    ids: Sequence[UUID]
    terms: Sequence[int]
    lengths: Sequence[int]
    fits: Sequence[bool]
    said: Said
    seen: Sightings

    @classmethod
    async def read(
        cls,
        connection: Connection,
        workspace: UUID,
        chosen: Filter,
        anchors: Sequence[UUID],
        queries: Sequence[str],
        within: timedelta,
        steps_max: int,
    ) -> Self:
        """Read what stands at most so many steps before and after some messages, and within a time."""
        if not anchors:
            return cls.nothing()
        text, values = statement("vicinity", condition=chosen.conditions)
        everything = chosen.is_empty and chosen.made_until is None
        bounds = (within, steps_max, everything, chosen.made_until, ASKING_WORDS_MAX)
        row = await connection.fetchrow(
            text, *chosen.arguments(), workspace, anchors, queries, *bounds, *values
        )
        return cls._of(row) if row else cls.nothing()

    @classmethod
    def nothing(cls) -> Self:
        """The surroundings of no message."""
        none = np.zeros(0, np.intp)
        return cls((), (), (), (), Said.nothing(), Sightings(none, none, none))

    @classmethod
    def _of(cls, row: Row) -> Self:
        # In the order of ids, so that sums are the same whichever anchor sees a message first.
        keys = np.frombuffer(b"".join([each.bytes for each in row["ids"]]), "S16")
        _, first, places = np.unique(keys, return_index=True, return_inverse=True)
        once: list[int] = first.tolist()

        def distinct(name: str, unasked: Any = None) -> list[Any]:
            values = row[name]
            return [unasked] * len(once) if values is None else [values[i] for i in once]

        # Anchors are numbered from 1 there.
        anchors = np.array(row["anchors"], np.intp) - 1
        steps = _steps(anchors, np.array(row["sides"], np.intp))
        return cls(
            distinct("ids"),
            distinct("terms", 0),
            distinct("lengths", 0),
            distinct("fits", True),
            Said(*map(distinct, _SAID)),
            Sightings(anchors, places, steps),
        )


def _steps(anchors: Positions, sides: Positions) -> Positions:
    """Count the messages of each run on one side of one anchor: -1, -2, … before it, 1, 2, … after it, 0 for itself."""
    begins = np.ones(len(sides), bool)
    begins[1:] = (anchors[1:] != anchors[:-1]) | (sides[1:] != sides[:-1])
    positions = np.arange(len(sides))
    return sides * (positions - np.maximum.accumulate(np.where(begins, positions, 0)) + 1)
