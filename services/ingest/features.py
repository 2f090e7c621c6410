"""What can be seen of a message, and of the talk before it, that tells knowledge from noise; pure.

`read` takes a message apart, `observe` sees it among the messages before it (at most
CONTEXT_MESSAGES of its conversation). Only the first
TEXT_MAX characters are read, so the cost of a message is bounded whatever its length.
"""

import math
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
ASKED_WITHIN_MESSAGES = 5
CODE_MAX = 3

Features = dict[str, float]
"""Feature by name; an absent one is 0."""


class ScoredInput(NamedTuple):
    """What the gate knows of a message; `author` is the shown name, or any that stays the same."""

    author: str
    text: str
    author_is_bot: bool = False
    message_id: str = ""
    reply_to: str = ""


@dataclass(slots=True)
class Reading:
    """A message taken apart; `counts` holds how many words of each class it has, packed."""

    author: str
    called: str
    text: str
    body: str
    words: list[str]
    counts: int
    content: set[str]
    links: int
    speaks_to: bool
    is_question: bool
    is_bot: bool
    message_id: str
    reply_to: str


class Context(NamedTuple):
    """The messages before this one, oldest first; `parent` is the one replied to if it is older."""

    recent: Sequence[Reading] = ()
    parent: Reading | None = None


def _stems(*names: str) -> frozenset[str]:
    words = " ".join(getattr(lexicon, name) for name in names).split()
    return frozenset(word[:STEM_LETTERS] for word in words)


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
_YOU_WORDS, _MODAL_WORDS = _stems("YOU"), _stems("MODAL")
_SELF_WORDS, _WANT_WORDS = _stems("SELF"), _stems("WANT")
_I, _WOULD = frozenset("i"), frozenset("d")
_ACKNOWLEDGEMENTS = _stems("ACKNOWLEDGEMENT", "LAUGHTER")
_INSTRUCTIONS = _stems("INSTRUCTION")
_NO_NAMES = _stems("FUNCTION", "ACKNOWLEDGEMENT", "COURTESY", "REMEDY", "DECISION", "PROBLEM")

_WORD = re.compile(r"\w+")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"[\w\-\[\]{}|^`\\]{2,24}")
_MENTION = re.compile(r"(?<!\w)@\w+")
_CODE_SIGNS = frozenset("`_{}<>\\;=$~|(")
_CODE_LINE = re.compile(r"(?:`[^`]*`|[\w.$>:\\-]+\s*(?:\(.*\)|=.*|\{.*)[;})]*)", re.DOTALL)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_BRACKET = re.compile(r"[\[(|{<]")
_EMOTICONS = frozenset(
    ":) :-) ;) ;-) :( :-( :D :-D ;D :P :-P :p ;P :/ :-/ :o :O =) =( =D :| :* <3 xD XD ^^ ^_^ >_< "
    ">.> o.O -_- ) )) ))) (( ((( :)) :))) \\o/ o/".split()
)
_PUNCTUATION = ".,!?;:'\"…«»“”„’)("
_BOT_ENDS = "0123456789_-^|` "


def read(message: ScoredInput, context: Context) -> Reading:
    """Take a message apart; the names of those who spoke before tell whom it addresses."""
    text = message.text[:TEXT_MAX]
    links = 0
    body = text
    if "://" in text or "www." in text:
        body, links = _LINK.subn(" ", text)
    body, speaks_to = _split_address(body.strip(), context.recent)
    words = [word[:STEM_LETTERS] for word in _WORD.findall(body.lower())]
    called, is_bot = _author_traits(message.author)
    return Reading(
        message.author,
        called,
        text,
        body,
        words,
        sum(map(_COUNT_OF.get, words, repeat(0))),
        set(words) - _EMPTY_WORDS,
        links,
        speaks_to,
        "?" in body,
        is_bot or message.author_is_bot,
        message.message_id,
        message.reply_to,
    )


@lru_cache(maxsize=4096)
def _author_traits(author: str) -> tuple[str, bool]:
    """The name by which others call an author, and whether it is a bot's."""
    return author.lower().partition(" ")[0], author.rstrip(_BOT_ENDS)[-3:].lower() == "bot"


def _split_address(body: str, recent: Sequence[Reading]) -> tuple[str, bool]:
    """The text without `name:`, `name,` or @mentions, and whether it had one."""
    addressed = False
    if "@" in body:
        body, mentions = _MENTION.subn(" ", body)
        body, addressed = body.strip(), mentions > 0
    first, _, rest = body.partition(" ")
    name = first.rstrip(":,").lower()
    if not name or not rest:
        return body, addressed
    if first[-1] == ":":
        if _NAME.fullmatch(name) and name[:STEM_LETTERS] not in _NO_NAMES:
            return rest.lstrip(), True
    elif name in [earlier.called for earlier in recent] and name not in _NO_NAMES:
        return rest.lstrip(" :,"), True
    return body, addressed


class _Past(NamedTuple):
    """What the messages before say of this one."""

    same_openings: int
    is_copy: bool
    was_asked: bool
    was_just_asked: bool


def observe(reading: Reading, context: Context) -> Features:
    """The features of a message in its context."""
    past = _look_back(reading, context)
    size = len(reading.content)
    features: Features = {"length": min(math.log1p(len(reading.body)) / 5, 1.15)}
    if size:
        features["content"] = math.log1p(min(size, 16))
    if _is_automated(reading, past):
        _see_automation(features, reading, context)
        return features
    _see_size(features, reading, size)
    _see_words(features, reading, size)
    _see_form(features, reading, size)
    _see_past(features, reading, past, size)
    if reading.is_question:
        _see_question(features, reading.counts, size)
    return features


def _look_back(reading: Reading, context: Context) -> _Past:
    author, recent = reading.author, context.recent
    own = [earlier for earlier in recent if earlier.author == author]
    same_openings, is_copy = 0, False
    if own:
        is_copy = reading.text in [earlier.text for earlier in own]
        if len(reading.body) > 12:
            opening = reading.body[:8]
            same_openings = len([earlier for earlier in own if earlier.body[:8] == opening])
    if reading.reply_to:
        asked = _replies_to_question(reading.reply_to, context)
        return _Past(same_openings, is_copy, asked, asked)
    asking = [e.is_question and e.author != author for e in recent[-ASKED_WITHIN_MESSAGES:]]
    return _Past(same_openings, is_copy, True in asking, bool(asking) and asking[-1])


def _replies_to_question(reply_to: str, context: Context) -> bool:
    if context.parent is not None:
        return context.parent.is_question
    return any(e.is_question for e in context.recent if e.message_id == reply_to)


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


def _see_automation(features: Features, reading: Reading, context: Context) -> None:
    """Of an automated line only its size counts, and what it says that its author did not before."""
    features["automated"] = 1.0
    features["automated_length"] = features["length"]
    if len(reading.content) >= 7:
        features["rich"] = 1.0
    if reading.is_bot:
        features["bot"] = 1.0
    if reading.counts >> _PROBLEM & _MASK:
        features["alarm"] = 1.0
    known = [earlier.content for earlier in context.recent if earlier.author == reading.author]
    if len(reading.content.difference(*known)) <= 2:
        features["stale"] = 1.0


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
    if not reading.is_question:
        words = reading.words
        if counts >> _ADVICE & _MASK or (
            counts >> _MODAL & _MASK
            and (_follows(words, _YOU_WORDS, _MODAL_WORDS, 2) or _follows(words, _I, _WOULD, 1))
        ):
            features["advice"] = 1.0
        if size >= 3 and counts >> _WANT & _MASK and _follows(words, _SELF_WORDS, _WANT_WORDS, 3):
            features["need"] = 1.0
    if size >= 3 and counts >> _CONDITION & _MASK:
        features["condition"] = 1.0
    if size >= 3 and counts >> _NEGATION & _MASK:
        features["negation"] = 1.0


def _follows(words: list[str], leads: frozenset[str], ends: frozenset[str], within: int) -> bool:
    """Whether a word of `ends` comes at most so many words after one of `leads`."""
    for position, word in enumerate(words, start=1):
        if word in leads and not ends.isdisjoint(words[position : position + within]):
            return True
    return False


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
        features["code"] = code / CODE_MAX
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
    """How many chunks, up to CODE_MAX, look like code or like names of things in code."""
    code = 0
    for chunk in chunks:
        if _is_code(chunk.strip(_PUNCTUATION)):
            code += 1
            if code == CODE_MAX:
                break
    return code


def _is_code(core: str) -> bool:
    """Letters with digits, inner capitals, or signs that prose does not use within a word."""
    if core.isalpha():
        return not core[1:].islower() and not core.isupper() and len(core) > 2
    if core.isalnum():
        return not core.isdigit()
    if not _CODE_SIGNS.isdisjoint(core):
        return True
    return core[:2] == "--" or core.count("/") > 1 or (core.count(".") > 1 and ".." not in core)


def _see_past(features: Features, reading: Reading, past: _Past, size: int) -> None:
    if reading.speaks_to or reading.reply_to:
        features["addressed" if size >= 2 else "addressed_briefly"] = 1.0
    if past.is_copy and size:
        features["repetition"] = 1.0
    if not reading.is_question:
        if size >= 2 and past.was_asked:
            features["answer"] = 1.0
        elif size == 1 and past.was_just_asked:
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
    "length content rich long no_content one_word link link_only code code_only "
    "problem remedy decision opinion advice need condition negation instruction "
    "open_question question question_to_you short_question answer short_answer addressed "
    "addressed_briefly waiting courtesy acknowledgement acknowledgement_first face exclamation "
    "correction command repetition automated automated_length stale bot alarm".split()
)
"""Every feature there is."""
