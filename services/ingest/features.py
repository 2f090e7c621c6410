"""What can be seen of a message, and of the talk before it, that tells knowledge from noise; pure.

`read` takes a message apart, `observe` sees it among the messages before it. Only the first
TEXT_MAX characters are read, so the cost of a message is bounded whatever its length.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from services.ingest import lexicon

TEXT_MAX = 1000
CONTEXT_MESSAGES = 16
ASKED_WITHIN_MESSAGES = 5

Features = dict[str, float]
"""Feature by name; an absent one is 0."""


@dataclass(frozen=True, slots=True)
class ScoredInput:
    """What the gate knows of a message; `author` is the shown name, or any that stays the same."""

    author: str
    text: str
    author_is_bot: bool = False
    is_reply: bool = False


@dataclass(slots=True)
class Reading:
    """A message taken apart; `counts` holds how many words of each class it has, packed."""

    author: str
    text: str
    body: str
    words: list[str]
    counts: int
    content: set[str]
    links: int
    speaks_to: str
    is_question: bool
    is_bot: bool
    is_reply: bool


@dataclass(frozen=True, slots=True)
class Context:
    """The messages of the conversation before this one, oldest first, and the one it replies to."""

    recent: Sequence[Reading] = ()
    parent: Reading | None = None


def _stems(*names: str) -> frozenset[str]:
    words = " ".join(getattr(lexicon, name) for name in names).split()
    return frozenset(word[: lexicon.STEM_LETTERS] for word in words)


_BITS = 10  # of a class's count: TEXT_MAX characters hold fewer than 2 ** 10 words
_MASK = (1 << _BITS) - 1
_CLASSES = (
    "FUNCTION COURTESY WAITING OPINION PROBLEM REMEDY DECISION LAUGHTER OPEN_QUESTION "
    "YOU SELF MODAL ADVICE WANT CONDITION NEGATION"
).split()
_SHIFTS = range(0, _BITS * len(_CLASSES), _BITS)
_FUNCTION, _COURTESY, _WAITING, _OPINION, _PROBLEM, _REMEDY, _DECISION, _LAUGHTER = _SHIFTS[:8]
_OPEN_QUESTION, _YOU, _SELF, _MODAL, _ADVICE, _WANT, _CONDITION, _NEGATION = _SHIFTS[8:]


def _class_counts() -> dict[str, int]:
    """Stem to one in the field of every class it belongs to, so that a sum counts all at once."""
    counts: dict[str, int] = {}
    for name, shift in zip(_CLASSES, _SHIFTS, strict=True):
        for stem in _stems(name):
            counts[stem] = counts.get(stem, 0) + (1 << shift)
    return counts


_COUNT_OF = _class_counts()
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzабвгґдеєжзиіїйклмнопрстуфхцчшщьюяыэъё0123456789")
_EMPTY_WORDS = _LETTERS | _stems(
    *("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "WAITING", "OPINION", "LAUGHTER", "TALK")
)
_ACKNOWLEDGEMENTS = _stems("ACKNOWLEDGEMENT", "LAUGHTER")
_INSTRUCTIONS = _stems("INSTRUCTION")
_NO_NAMES = _stems("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "REMEDY", "DECISION", "PROBLEM")

_WORD = re.compile(r"([^\W_]{1,6})[^\W_]*")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"\s*@?([\w\-\[\]{}|^`\\]{2,24}) ?([:,])\s*(?=\S)")
_MENTION = re.compile(r"(?<!\w)@\w+")
_CODE = re.compile(
    r"`|\w_\w|\w\(|::|->|[{};<>\\]|[a-z][A-Z]|\w\.\w+\.\w|[~/]\w+/|--\w|\w=\w|\$\w"
    r"|[^\W\d]\d|\d[^\W\d]"
)
_CODE_LINE = re.compile(r"(?:`[^`]*`|[\w.$>:\\-]+\s*(?:\(.*\)|=.*|\{.*)[;})]*)", re.DOTALL)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_BRACKET = re.compile(r"[\[(|{<]")
_EMOTICONS = frozenset(
    ":) :-) ;) ;-) :( :-( :D :-D ;D :P :-P :p ;P :/ :-/ :o :O =) =( =D :| :* <3 xD XD ^^ ^_^ >_< "
    ">.> o.O -_- ) )) ))) (( ((( :)) :))) \\o/ o/".split()
)
_PUNCTUATION = ".,!?;:'\"…«»“”„’)("
_BOT_ENDS = "0123456789_-^|` "


def read(message: ScoredInput) -> Reading:
    """Take a message apart."""
    text = message.text[:TEXT_MAX]
    links = len(_LINK.findall(text)) if "://" in text or "www." in text else 0
    body = _LINK.sub(" ", text) if links else text
    speaks_to = ""
    if "@" in body:
        body, mentions = _MENTION.subn(" ", body)
        speaks_to = "@" if mentions else ""
    name = _NAME.match(body)
    if name is not None and name[2] == ":":
        called = name[1].lower()
        if called[: lexicon.STEM_LETTERS] not in _NO_NAMES:
            speaks_to, body = called, body[name.end() :]
    words = _WORD.findall(body.lower())
    return Reading(
        author=message.author,
        text=text,
        body=body.strip(),
        words=words,
        counts=sum(map(_COUNT_OF.get, words, repeat(0))),
        content=set(words) - _EMPTY_WORDS,
        links=links,
        speaks_to=speaks_to,
        is_question="?" in body,
        is_bot=message.author_is_bot or message.author.rstrip(_BOT_ENDS)[-3:].lower() == "bot",
        is_reply=message.is_reply,
    )


@dataclass(slots=True)
class _Past:
    """What the messages before say of this one."""

    same_openings: int
    is_copy: bool
    new_content: set[str]
    was_asked: bool
    was_just_asked: bool
    calls_name: bool


def observe(reading: Reading, context: Context) -> Features:
    """The features of a message in its context."""
    past = _look_back(reading, context)
    size = len(reading.content)
    if past.calls_name and reading.words[0] in reading.content:
        size -= 1
    features: Features = {"length": min(math.log1p(len(reading.body)) / 5, 1.15)}
    if size:
        features["content"] = math.log1p(min(size, 16))
    if _is_automated(reading, past):
        _see_automation(features, reading, past, size)
        return features
    _see_size(features, reading, size)
    _see_words(features, reading, size)
    _see_form(features, reading, size)
    _see_past(features, reading, past, size)
    if reading.is_question:
        _see_question(features, reading.counts, size)
    return features


def _look_back(reading: Reading, context: Context) -> _Past:
    author, opening = reading.author, reading.body[:8].lower()
    first = reading.words[0] if reading.words else ""
    new_content = reading.content
    same_openings, asked_at = 0, 99
    is_copy = calls_name = False
    for age, earlier in enumerate(reversed(context.recent), start=1):
        if earlier.author == author:
            new_content = new_content - earlier.content
            same_openings += earlier.body[:8].lower() == opening
            is_copy = is_copy or earlier.text == reading.text
        else:
            if earlier.is_question and asked_at == 99:
                asked_at = age
            if first and earlier.author[: lexicon.STEM_LETTERS].lower() == first:
                calls_name = True
    if context.parent is not None and context.parent.is_question:
        asked_at = 1
    return _Past(
        same_openings if len(reading.body) > 12 else 0,
        is_copy,
        new_content,
        asked_at <= ASKED_WITHIN_MESSAGES,
        asked_at == 1,
        calls_name,
    )


def _is_automated(reading: Reading, past: _Past) -> bool:
    """A bot by name, a line like the author's last ones, a record with a link, a pasted table."""
    if reading.is_bot or "||" in reading.text:
        return True
    if reading.links and past.same_openings:
        return True
    if past.same_openings < 2 and not reading.links:
        return False
    brackets = len(_BRACKET.findall(reading.text))
    if past.same_openings >= 2 and brackets:
        return True
    plain = reading.counts >> _FUNCTION & _MASK
    return brackets >= 2 and plain <= max(2, len(reading.words) / 4)


def _see_automation(features: Features, reading: Reading, past: _Past, size: int) -> None:
    features["automated"] = 1.0
    features["automated_length"] = features["length"]
    if len(past.new_content) <= 2:
        features["stale"] = 1.0
    if reading.is_bot:
        features["bot"] = 1.0
    if size >= 7:
        features["rich"] = 1.0


def _see_size(features: Features, reading: Reading, size: int) -> None:
    length = len(reading.body)
    if length > 80:
        features["long"] = (min(length, 300) - 80) / 100
    if size >= 7:
        features["rich"] = 1.0
    elif size < 2 and not reading.links:
        features["one_word" if size else "no_content"] = 1.0
    if reading.links:
        features["link_only" if len(reading.words) <= 4 else "link"] = 1.0
    features["long_words"] = sum(len(word) >= 5 for word in reading.content) / 10


def _see_words(features: Features, reading: Reading, size: int) -> None:
    """The cue words, most of which count only in a message that says something."""
    counts = reading.counts
    for name, shift, most in _CAPPED:
        number = counts >> shift & _MASK
        if number:
            features[name] = min(number, most) / most
    if size <= 3 and counts >> _WAITING & _MASK:
        features["waiting"] = 1.0
    if size <= 2 and counts >> _COURTESY & _MASK:
        features["courtesy"] = 1.0
    if size < 2:
        return
    you, self = counts >> _YOU & _MASK, counts >> _SELF & _MASK
    if not reading.is_question:
        if counts >> _ADVICE & _MASK or (you and counts >> _MODAL & _MASK):
            features["advice"] = 1.0
        if size >= 3 and counts >> _WANT & _MASK and (self or counts >> _NEGATION & _MASK):
            features["need"] = 1.0
    if size >= 3 and counts >> _CONDITION & _MASK:
        features["condition"] = 1.0
    if size >= 3 and counts >> _NEGATION & _MASK:
        features["negation"] = 1.0


_CAPPED = (
    ("problem", _PROBLEM, 2),
    ("remedy", _REMEDY, 3),
    ("decision", _DECISION, 2),
    ("opinion", _OPINION, 2),
)


def _see_form(features: Features, reading: Reading, size: int) -> None:
    """Code, faces, shouting, corrections, commands and how the message begins."""
    body, words = reading.body, reading.words
    chunks = [chunk for chunk in body.split() if not (chunk.islower() and chunk.isalpha())]
    code = _count_code(chunks)
    if code:
        features["code"] = min(code, 3) / 3
        if _CODE_LINE.fullmatch(body):
            features["code_only"] = 1.0
    if (
        not _EMOTICONS.isdisjoint(chunks)
        or reading.counts >> _LAUGHTER & _MASK
        or (not body.isascii() and _EMOJI.search(body))
    ):
        features["face"] = 1.0
    if "!" in body and size <= 4 and not code:
        features["exclamation"] = 1.0
    if body.endswith("*") and len(words) <= 4:
        features["correction"] = 1.0
    if body[:1] in "!/." and body[1:2].isalpha():
        features["command"] = 1.0
    if words and words[0] in _ACKNOWLEDGEMENTS:
        features["acknowledgement_first" if size > 2 else "acknowledgement"] = 1.0
    elif len(words) >= 3 and words[0] in _INSTRUCTIONS and not reading.is_question:
        features["instruction"] = 1.0


def _count_code(chunks: list[str]) -> int:
    """How many chunks look like code, names of things in code, or numbers with units."""
    code = 0
    for chunk in chunks:
        core = chunk.strip(_PUNCTUATION)
        if core and not (core[1:].islower() and core.isalpha()) and _CODE.search(chunk):
            code += 1
    return code


def _see_past(features: Features, reading: Reading, past: _Past, size: int) -> None:
    if reading.speaks_to or reading.is_reply or past.calls_name:
        features["addressed" if size >= 2 else "addressed_briefly"] = 1.0
    if past.is_copy and size:
        features["repetition"] = 1.0
    if not reading.is_question:
        if size >= 2 and past.was_asked:
            features["answer"] = 1.0
        elif size < 2 and past.was_just_asked:
            features["short_answer"] = 1.0


def _see_question(features: Features, counts: int, size: int) -> None:
    """Whether a question stands by itself or asks the other for more."""
    open_word, you, self = (counts >> shift & _MASK for shift in (_OPEN_QUESTION, _YOU, _SELF))
    if size >= 3 and (open_word or self) and (not you or (self and open_word)):
        features["open_question"] = 1.0
    elif you:
        features["question_to_you"] = 1.0
    elif size >= 3:
        features["question"] = 1.0
    else:
        features["short_question"] = 1.0


FEATURE_NAMES = tuple(
    "length content rich long long_words no_content one_word link link_only code code_only "
    "problem remedy decision opinion advice need condition negation instruction "
    "open_question question question_to_you short_question answer short_answer addressed "
    "addressed_briefly waiting courtesy acknowledgement acknowledgement_first face exclamation "
    "correction command repetition automated automated_length stale bot".split()
)
"""Every feature there is."""
