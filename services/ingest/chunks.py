"""What stands between two spaces: its words, what they count as, whether it looks like code or a face; pure."""

import re
from typing import NamedTuple

from services.ingest.vocabulary import KEPT_LETTERS, KEPT_WORDS, STEMS, fold, stems

_BITS = 10  # of a class's count: TEXT_MAX characters hold fewer than 2 ** 10 words
MASK = (1 << _BITS) - 1
_CLASSES = (
    "FUNCTION COURTESY WAITING PROBLEM REMEDY DECISION LAUGHTER OPEN_QUESTION YOU SELF MODAL ADVICE "
    "CONDITION DOING LIFE"
).split()
_SHIFTS = range(0, _BITS * (len(_CLASSES) + 2), _BITS)
FUNCTION, COURTESY, WAITING, PROBLEM, REMEDY, DECISION, LAUGHTER = _SHIFTS[:7]
OPEN_QUESTION, YOU, SELF, MODAL, ADVICE, CONDITION, DOING, LIFE, CODE, FACE = _SHIFTS[7:]


def _class_counts() -> dict[str, int]:
    """Stem to one in the field of every class it belongs to, so that a sum counts all at once."""
    counts: dict[str, int] = {}
    for name, shift in zip(_CLASSES, _SHIFTS, strict=False):
        for stem in stems(name):
            counts[stem] = counts.get(stem, 0) + (1 << shift)
    return counts


_COUNT_OF = _class_counts()
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzабвгґдеєжзиіїйклмнопрстуфхцчшщьюяыэъё0123456789")
_EMPTY_WORDS = _LETTERS | stems(
    *("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "WAITING", "OPINION", "LAUGHTER", "TALK")
)
# What everyday talk is made of; the rest are names and words of the trade.
UNSPECIFIC = _EMPTY_WORDS | stems(
    *("EVERYDAY", "LIFE", "DOING", "PROBLEM", "REMEDY", "DECISION", "INSTRUCTION", "ADVICE"),
    *("CONDITION",),
)

_WORD = re.compile(r"\w+")
_CODE_SIGNS = frozenset("`_{}<>\\;=$~|(")
_PUNCTUATION = ".,!?;:'\"…«»“”„’)("
_EMOTICONS = frozenset(
    ":) :-) ;) ;-) :( :-( :D :-D ;D :P :-P :p ;P :/ :-/ :o :O =) =( =D :| :* <3 xD XD ^^ ^_^ >_< "
    ">.> o.O -_- ) )) ))) (( ((( :)) :))) \\o/ o/".split()
)


class Chunk(NamedTuple):
    """The stems of a chunk's words, and how many words of each class it has, packed.

    `content` are the words that say something, `specific` those of them that everyday talk does without.
    """

    words: tuple[str, ...]
    counts: int
    content: tuple[str, ...]
    specific: tuple[str, ...]


class _Chunks(dict[str, Chunk]):
    """Every chunk taken apart when it is first met: a chat's chunks are few and come again and again."""

    def __missing__(self, text: str) -> Chunk:
        words = tuple(map(STEMS.__getitem__, _WORD.findall(fold(text))))
        counts = sum(filter(None, map(_COUNT_OF.get, words)))
        if _is_code(text.strip(_PUNCTUATION)):
            counts += 1 << CODE
        if text in _EMOTICONS:
            counts += 1 << FACE
        content = tuple(word for word in words if word not in _EMPTY_WORDS)
        specific = tuple(word for word in content if word not in UNSPECIFIC)
        chunk = Chunk(words, counts, content, specific)
        if len(text) <= KEPT_LETTERS:
            if len(self) >= KEPT_WORDS:
                self.clear()
            self[text] = chunk
        return chunk


_CHUNKS = _Chunks()


def take_apart(text: str) -> tuple[list[str], int, set[str], set[str]]:
    """The words of a text in order, the packed counts of them all, and which are content and specific."""
    words: list[str] = []
    counts = 0
    content: set[str] = set()
    specific: set[str] = set()
    for part in text.split():
        chunk_words, chunk_counts, chunk_content, chunk_specific = _CHUNKS[part]
        words += chunk_words
        counts += chunk_counts
        if chunk_content:
            content.update(chunk_content)
            if chunk_specific:
                specific.update(chunk_specific)
    return words, counts, content, specific


def _is_code(core: str) -> bool:
    """Letters with digits, inner capitals, or signs that prose does not use within a word."""
    if core.isalpha():
        return not core[1:].islower() and not core.isupper() and len(core) > 2
    if core.isalnum():
        return not core.isdigit()
    if not _CODE_SIGNS.isdisjoint(core):
        return True
    return core[:2] == "--" or core.count("/") > 1 or (core.count(".") > 1 and ".." not in core)
