"""Surroundings of one message, made up."""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np

from services.search.speech import Said
from services.search.vicinity import Sightings, Vicinity


class Utterance(NamedTuple):
    """One message of `speech.Said`."""

    asks: bool = False
    mute: bool = False
    message: str = ""
    replies_to: str = ""
    author: str = ""
    author_name: str = ""
    opening: str = ""


def said_by(utterances: Sequence[Utterance]) -> Said:
    """Messages in parallel."""
    return Said(*zip(*utterances, strict=True)) if utterances else Said.nothing()


def vicinity_of(
    seen: Sequence[tuple[UUID, int, Utterance]],
    terms: Mapping[UUID, int] | None = None,
    unfit: Container[UUID] = (),
) -> Vicinity:
    """What one anchor sees: each message, how many steps it stands after the anchor, and how it speaks."""
    ids = [each for each, _, _ in seen]
    places = np.arange(len(ids))
    return Vicinity(
        ids,
        [(terms or {}).get(each, 0) for each in ids],
        [5] * len(ids),
        [each not in unfit for each in ids],
        said_by([utterance for _, _, utterance in seen]),
        Sightings(np.zeros_like(places), places, np.array([step for _, step, _ in seen], np.intp)),
    )


def around(*steps: tuple[UUID, int], unfit: Container[UUID] = ()) -> Vicinity:
    """What one anchor sees, where nobody says anything that counts."""
    return vicinity_of([(each, step, Utterance()) for each, step in steps], unfit=unfit)
