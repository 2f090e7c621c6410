"""Who asks, and who speaks to whom: what decides how far a message's score reaches the messages around it.

In a chat, what is most like a question is the same question, and what is wanted is what was said to who asked it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

# Of a message that asks and says little else, this share of its score is left.
ASKING_SHARE: Final = 0.7
ASKING_WORDS_MAX: Final = 12
# What somebody is told gets so much more of what they said; what is told somebody else, so much less.
TO_THEM: Final = 2.0
TO_OTHERS: Final = 0.5
# Numbers of nobody and of nothing, and of what is not among the messages that are looked at.
NOBODY: Final = -1
ELSEWHERE: Final = -2

Numbers = npt.NDArray[np.intp]
Array = npt.NDArray[np.float64]


class Utterance(NamedTuple):
    """A message as part of a conversation: who says it, and what it begins with, up to the first space.

    A mute one has no word: a thumb, a smile. What it replies to is empty if it is no reply.
    """

    asks: bool
    mute: bool
    message: str
    replies_to: str
    author: str
    author_name: str
    opening: str


_UNHEARD: Final = Utterance(False, False, "", "", "", "", "")


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


def hear(utterances: Sequence[Utterance | None]) -> Speech:
    """Number who speaks to whom; of a message that is not known nothing is assumed."""
    said = [each or _UNHEARD for each in utterances]
    authors = _numbers(each.author for each in said)
    called = {
        _called(name): authors[who]
        for who, name in {e.author: e.author_name for e in said}.items()
        if name
    }
    messages = _numbers(each.message for each in said)
    return Speech(
        np.array([_share(each) for each in said], np.float64),
        np.array([messages[each.message] for each in said], np.intp),
        np.array([messages.get(each.replies_to, ELSEWHERE) for each in said], np.intp),
        np.array([authors[each.author] for each in said], np.intp),
        np.array(
            [called.get(each.opening.strip("@:,").casefold(), NOBODY) for each in said], np.intp
        ),
    )


def _share(utterance: Utterance) -> float:
    """What is left of a message's score: nobody looks for one without a word."""
    return 0.0 if utterance.mute else ASKING_SHARE if utterance.asks else 1.0


def _numbers(texts: Iterable[str]) -> dict[str, int]:
    """Number texts; the empty one is NOBODY."""
    distinct = dict.fromkeys(texts)
    distinct.pop("", None)
    return {text: number for number, text in enumerate(distinct)} | {"": NOBODY}


def _called(name: str) -> str:
    """How others address somebody: by the first word of a name."""
    return name.strip().casefold().partition(" ")[0]
