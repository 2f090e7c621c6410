"""Who asks, and who speaks to whom: what decides how far a message's score reaches the messages around it.

In a chat, what is most like a question is the same question, and what is wanted is what was said to who asked it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

# Of a message that asks and says little else, this share of its score is left.
ASKING_SHARE: Final = 0.7
ASKING_WORDS_MAX: Final = 12
# What somebody is told gets so much more of what they said; what is told somebody else, so much less.
TO_THEM: Final = 2.0
TO_OTHERS: Final = 0.5
# The number of nobody and of what nobody replies to.
NOBODY: Final = -1

Numbers = npt.NDArray[np.intp]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Said:
    """Messages as parts of conversations, in parallel: who says each, and what it begins with, up to the first space.

    A mute one has no word: a thumb, a smile. What it replies to is empty if it is no reply.
    """

    asks: Sequence[bool]
    mute: Sequence[bool]
    messages: Sequence[str]
    replies_to: Sequence[str]
    authors: Sequence[str]
    names: Sequence[str]
    openings: Sequence[str]

    @classmethod
    def nothing(cls) -> Self:
        """No message at all."""
        return cls((), (), (), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Speech:
    """Of messages in parallel: the shares of their scores that they keep, then numbers that tell who speaks to whom."""

    shares: Array
    messages: Numbers
    replies_to: Numbers
    authors: Numbers
    addressees: Numbers

    def factors(self, earlier: Numbers, later: Numbers) -> Array:
        """How much more or less the later message of each pair gets of the earlier one's score."""
        author, addressee = self.authors[earlier], self.addressees[later]
        replied = self.replies_to[later]
        replies = (replied != NOBODY) & (replied == self.messages[earlier])
        to_them = replies | ((addressee != NOBODY) & (addressee == author))
        to_somebody = (addressee != NOBODY) | (replied != NOBODY)
        elsewhere = to_somebody & ~to_them & (self.authors[later] != author)
        return np.where(to_them, TO_THEM, np.where(elsewhere, TO_OTHERS, 1.0))


def hear(said: Said, places: Numbers, count: int) -> Speech:
    """Number who speaks to whom among so many messages; of those at places where nothing is said nothing is assumed."""
    authors, replied = _numbers(said.authors), _numbers(said.replies_to)
    called = {
        _called(name): authors.get(who, NOBODY)
        for who, name in dict(zip(said.authors, said.names, strict=True)).items()
        if name
    }
    # All at once: no text in PostgreSQL holds a zero.
    openings = "\0".join(said.openings).casefold().split("\0") if called else ()
    shares = np.ones(count)
    shares[places] = np.where(said.mute, 0.0, np.where(said.asks, ASKING_SHARE, 1.0))

    def spread(texts: Sequence[str], numbers: Mapping[str, int]) -> Numbers:
        found: Numbers = np.full(count, NOBODY, np.intp)
        if numbers:
            found[places] = [numbers.get(text, NOBODY) for text in texts]
        return found

    return Speech(
        shares,
        spread(said.messages, replied),
        spread(said.replies_to, replied),
        spread(said.authors, authors),
        spread([each.strip("@:,") for each in openings], called),
    )


def _numbers(texts: Iterable[str]) -> dict[str, int]:
    """Number texts but the empty one."""
    distinct = dict.fromkeys(texts)
    distinct.pop("", None)
    return {text: number for number, text in enumerate(distinct)}


def _called(name: str) -> str:
    """How others address somebody: by the first word of a name."""
    return name.strip().casefold().partition(" ")[0]
