"""What stands between two spaces: its words, what they count as, whether it looks like code or a face; pure."""

import re

from services.ingest.vocabulary import Remembered, fold, stem_of, stems

_BITS = 10  # of a class's count: TEXT_MAX characters hold fewer than 2 ** 10 words
MASK = (1 << _BITS) - 1
_CLASSES = (
    "FUNCTION COURTESY WAITING PROBLEM REMEDY DECISION LAUGHTER OPEN_QUESTION YOU SELF MODAL ADVICE "
    "CONDITION DOING LIFE PARTICULAR"
).split()
_SHIFTS = range(0, _BITS * (len(_CLASSES) + 2), _BITS)
FUNCTION, COURTESY, WAITING, PROBLEM, REMEDY, DECISION, LAUGHTER = _SHIFTS[:7]
OPEN_QUESTION, YOU, SELF, MODAL, ADVICE, CONDITION, DOING, LIFE, PARTICULAR, CODE, FACE = _SHIFTS[
    7:
]


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

# A version is one word: its numbers say nothing by themselves.
_WORD = re.compile(r"v?\d+(?:\.\d+)+\w*|\w+")
_CODE_SIGNS = frozenset("`_{}<>\\;=$~|(")
_PUNCTUATION = ".,!?;:'\"…«»“”„’)("
_EMOTICONS = frozenset(
    ":) :-) ;) ;-) :( :-( :D :-D ;D :P :-P :p ;P :/ :-/ :o :O =) =( =D :| :* <3 xD XD ^^ ^_^ >_< "
    ">.> o.O -_- ) )) ))) (( ((( :)) :))) \\o/ o/".split()
)


# Its words, the packed counts of their classes, those that say something, and those that everyday talk
# does without. A plain tuple: Python takes one apart three times as fast as a named one.
Chunk = tuple[tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]


def _look_up(word: str) -> Chunk:
    """A folded word as a chunk of its own."""
    stem = word if "." in word else stem_of(word)
    said = (stem,) if stem not in _EMPTY_WORDS else ()
    specific = said if stem not in UNSPECIFIC else ()
    return (stem,), _COUNT_OF.get(stem, 0), said, specific


def _take_chunk_apart(text: str) -> Chunk:
    """What stands between two spaces; most often it is a word and nothing else."""
    core = text.strip(_PUNCTUATION)
    if core.isalpha() and core[1:].islower():
        return WORDS[fold(core)]
    parts = [WORDS[word] for word in _WORD.findall(fold(text))]
    shape = (_is_code(core) << CODE) + ((text in _EMOTICONS) << FACE)
    if len(parts) == 1 and not shape:
        return parts[0]
    words: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    specific: tuple[str, ...] = ()
    counts = shape
    for part_words, part_counts, part_content, part_specific in parts:
        words += part_words
        counts += part_counts
        content += part_content
        specific += part_specific
    return words, counts, content, specific


WORDS: Remembered[Chunk] = Remembered(_look_up)
_CHUNKS: Remembered[Chunk] = Remembered(_take_chunk_apart)
_CHUNK = _CHUNKS.__getitem__


def take_apart(text: str) -> tuple[list[str], int, set[str], set[str]]:
    """The words of a text in order, the packed counts of them all, and which are content and specific."""
    words: list[str] = []
    counts = 0
    content: list[str] = []
    specific: list[str] = []
    for chunk_words, chunk_counts, chunk_content, chunk_specific in map(_CHUNK, text.split()):
        words += chunk_words
        if chunk_counts:
            counts += chunk_counts
        if chunk_content:
            content += chunk_content
            if chunk_specific:
                specific += chunk_specific
    return words, counts, set(content), set(specific)


def _is_code(core: str) -> bool:
    """Letters with digits, inner capitals, or signs that prose does not use within a word."""
    if core.isalpha():
        return not core[1:].islower() and not core.isupper() and len(core) > 2
    if core.isalnum():
        return not core.isdigit()
    if not _CODE_SIGNS.isdisjoint(core):
        return True
    return core[:2] == "--" or core.count("/") > 1 or (core.count(".") > 1 and ".." not in core)
