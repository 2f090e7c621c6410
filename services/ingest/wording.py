"""A message taken apart: its words by what they say, its links, whom it addresses; pure.

Only the first TEXT_MAX characters are read, so the cost of a message is bounded whatever its length.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from services.ingest import lexicon
from services.ingest.lexicon import STEM_LETTERS

TEXT_MAX = 1000
CONTEXT_MESSAGES = 10
# A message is seen among those before it, each of which was read in the light of those before it.
REACH_MESSAGES = 2 * CONTEXT_MESSAGES


class ScoredInput(NamedTuple):
    """What the gate knows of a message; `author` is the shown name, or any that stays the same."""

    author: str
    text: str
    author_is_bot: bool = False
    message_id: str = ""
    reply_to: str = ""


@dataclass(slots=True)
class Reading:
    """A message taken apart; `counts` holds how many words of each class it has, packed.

    `content` are the words that say something, `specific` those of them that everyday talk does without.
    """

    author: str
    called: str
    text: str
    body: str
    words: list[str]
    counts: int
    content: set[str]
    specific: set[str]
    links: int
    addressee: str
    is_question: bool
    is_bot: bool
    message_id: str
    reply_to: str


class Context(NamedTuple):
    """The messages before this one, oldest first; `parent` is the one replied to if it is older."""

    recent: Sequence[Reading] = ()
    parent: Reading | None = None


def stems(*names: str) -> frozenset[str]:
    """The stems of some classes of words."""
    words = " ".join(getattr(lexicon, name) for name in names).split()
    return frozenset(word[:STEM_LETTERS] for word in words)


_BITS = 10  # of a class's count: TEXT_MAX characters hold fewer than 2 ** 10 words
MASK = (1 << _BITS) - 1
_CLASSES = (
    "FUNCTION COURTESY WAITING PROBLEM REMEDY DECISION LAUGHTER OPEN_QUESTION YOU SELF MODAL ADVICE "
    "CONDITION"
).split()
_SHIFTS = range(0, _BITS * len(_CLASSES), _BITS)
FUNCTION, COURTESY, WAITING, PROBLEM, REMEDY, DECISION, LAUGHTER = _SHIFTS[:7]
OPEN_QUESTION, YOU, SELF, MODAL, ADVICE, CONDITION = _SHIFTS[7:]


def _class_counts() -> dict[str, int]:
    """Stem to one in the field of every class it belongs to, so that a sum counts all at once."""
    counts: dict[str, int] = {}
    for name, shift in zip(_CLASSES, _SHIFTS, strict=True):
        for stem in stems(name):
            counts[stem] = counts.get(stem, 0) + (1 << shift)
    return counts


_COUNT_OF = _class_counts()
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzабвгґдеєжзиіїйклмнопрстуфхцчшщьюяыэъё0123456789")
_EMPTY_WORDS = _LETTERS | stems(
    *("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "WAITING", "OPINION", "LAUGHTER", "TALK")
)
_UNSPECIFIC = _EMPTY_WORDS | stems(
    *("EVERYDAY", "PROBLEM", "REMEDY", "DECISION", "INSTRUCTION", "ADVICE", "CONDITION")
)
_NO_NAMES = stems("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "REMEDY", "DECISION", "PROBLEM")

_STEM = re.compile(rf"(\w{{1,{STEM_LETTERS}}})\w*")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"[\w\-\[\]{}|^`\\]{2,24}")
_MENTION = re.compile(r"(?<!\w)@(\w+)")
_BOT_ENDS = "0123456789_-^|` "


def read(message: ScoredInput, context: Context) -> Reading:
    """Take a message apart; the names of those who spoke before tell whom it addresses."""
    text = message.text[:TEXT_MAX]
    links = 0
    body = text
    if "://" in text or "www." in text:
        body, links = _LINK.subn(" ", text)
    body, addressee = _split_address(body.strip(), context.recent)
    words = _STEM.findall(body.lower())
    called, is_bot = _author_traits(message.author)
    content = set(words) - _EMPTY_WORDS
    return Reading(
        message.author,
        called,
        text,
        body,
        words,
        sum(map(_COUNT_OF.get, words, repeat(0))),
        content,
        content - _UNSPECIFIC,
        links,
        addressee,
        "?" in body,
        is_bot or message.author_is_bot,
        message.message_id,
        message.reply_to,
    )


@lru_cache(maxsize=4096)
def _author_traits(author: str) -> tuple[str, bool]:
    """The name by which others call an author, and whether it is a bot's."""
    return author.lower().partition(" ")[0], author.rstrip(_BOT_ENDS)[-3:].lower() == "bot"


def _split_address(body: str, recent: Sequence[Reading]) -> tuple[str, str]:
    """The text without `name:`, `name,` or @mentions, and the name it is addressed to, or an empty one."""
    addressee = ""
    if "@" in body and (mention := _MENTION.search(body)):
        addressee = mention[1].lower()
        body = _MENTION.sub(" ", body).strip()
    first, _, rest = body.partition(" ")
    name = first.rstrip(":,").lower()
    if not name or not rest:
        return body, addressee
    if first[-1] == ":":
        if _NAME.fullmatch(name) and name[:STEM_LETTERS] not in _NO_NAMES:
            return rest.lstrip(), name
    elif name in [earlier.called for earlier in recent] and name not in _NO_NAMES:
        return rest.lstrip(" :,"), name
    return body, addressee
