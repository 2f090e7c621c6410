"""Known items: queries for one message each, made of words that no other message of its chat has.

Nobody labels these. Who types a ticket's number, a rare word or some words that they remember wants the message that
has them on top, and which one that is the chat tells by itself.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

KINDS: Final = ("identifier", "word", "question", "fragment")
# So many queries of a kind from one chat, and from all together.
PER_CHAT_MAX: Final = 25
PER_KIND_MAX: Final = 100
_SEED: Final = 7

_ENDS: Final = r"(?=[.,:;!?]*(?:\s|$))"
_IDENTIFIER: Final = re.compile(rf"(?<!\S)[^\W_][\w.:/#@+-]{{2,38}}\w{_ENDS}")
_CODE: Final = re.compile(r"\d|\w_\w|\w[./]\w|[a-z][A-Z]")
_WORD: Final = re.compile(rf"(?<!\S)[^\W\d_]{{6,24}}{_ENDS}")
_FRAGMENT: Final = re.compile(r"(?<!\S)(?:[^\W_][^\s\"]* ){2}[^\W_][^\s\"]*(?=\s|$)")
_LONG_WORD: Final = re.compile(r"[^\W\d_]{5,}")
# Words that begin alike are taken for forms of one.
_ENDING: Final = 3
_START_LETTERS_MIN: Final = 4
_ASKED_LETTERS_MIN: Final = 8
_CYRILLIC: Final = re.compile(r"[Ѐ-ӿ]")
_ASKED: Final = "what do we know about {}?"
_ASKED_UKRAINIAN: Final = "що ми знаємо про {}?"


class KnownItem(NamedTuple):
    """A query, its kind, and the place in its chat of the one message that is meant."""

    kind: str
    chat: str
    place: int
    text: str


def known_items(chats: Mapping[str, Sequence[str]]) -> list[KnownItem]:
    """Draw queries of each of KINDS from the texts of chats; the same each time."""
    dice = random.Random(_SEED)  # noqa: S311 - a sample, not a secret
    items = []
    for kind in KINDS:
        drawn = [item for chat, texts in chats.items() for item in _drawn(kind, chat, texts, dice)]
        items += dice.sample(drawn, min(len(drawn), PER_KIND_MAX))
    return items


def _drawn(kind: str, chat: str, texts: Sequence[str], dice: random.Random) -> Iterator[KnownItem]:
    """Queries of a kind for messages of a chat, as many as one chat may have."""
    folded = [text.casefold() for text in texts]
    order = dice.sample(range(len(texts)), len(texts))
    found = ((place, _query(kind, texts[place], folded, dice)) for place in order)
    items = (KnownItem(kind, chat, place, query) for place, query in found if query)
    return islice(items, PER_CHAT_MAX)


def _query(kind: str, text: str, folded: Sequence[str], dice: random.Random) -> str:
    """A query for a message; empty if it has nothing that is its alone."""
    candidates = list(_candidates(kind, text))
    for words, telling in dice.sample(candidates, len(candidates)):
        having = (each for each in folded if all(part in each for part in telling))
        if len(list(islice(having, 2))) == 1:
            asked = _ASKED_UKRAINIAN if _CYRILLIC.search(words) else _ASKED
            return asked.format(words) if kind == "question" else words
    return ""


def _candidates(kind: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """What may be asked for, and what of it must stand together nowhere else."""
    if kind in ("identifier", "question"):
        for found in _IDENTIFIER.findall(text):
            if _CODE.search(found):
                yield found, [found.casefold()]
    if kind in ("word", "question"):
        for found in _WORD.findall(text):
            if kind == "word" or len(found) >= _ASKED_LETTERS_MIN:
                yield found, [_start(found)]
    if kind == "fragment":
        for found in _FRAGMENT.findall(text):
            telling = [_start(word) for word in _LONG_WORD.findall(found)]
            if len(telling) > 1:
                yield found, telling


def _start(word: str) -> str:
    """A word without what inflects it."""
    return word[: max(_START_LETTERS_MIN, len(word) - _ENDING)].casefold()
