"""What can be seen of a message, and of the talk before it, that tells knowledge from noise; pure.

`observe` sees a message among those before it (at most CONTEXT_MESSAGES of its conversation).
"""

import math
import re
from collections.abc import Sequence

from services.ingest.chunks import (
    ADVICE,
    CODE,
    CONDITION,
    COURTESY,
    DECISION,
    DOING,
    FACE,
    FUNCTION,
    LAUGHTER,
    LIFE,
    MASK,
    MODAL,
    OPEN_QUESTION,
    PARTICULAR,
    PROBLEM,
    REMEDY,
    SELF,
    WAITING,
    YOU,
    take_apart,
)
from services.ingest.programs import outcome_of
from services.ingest.vocabulary import stems
from services.ingest.wording import TEXT_MAX, Context, Reading

CODE_MAX = 3
CONTENT_MAX = 16
SPECIFIC_MAX = 12
SIMILAR = 0.6

Features = dict[str, float]
"""Feature by name; an absent one is 0."""


_YOU_WORDS, _MODAL_WORDS = stems("YOU"), stems("MODAL")
_I, _WOULD = frozenset("i"), frozenset("d")
_ACKNOWLEDGEMENTS = stems("ACKNOWLEDGEMENT", "LAUGHTER")
_INSTRUCTIONS = stems("INSTRUCTION")
_FILLERS = stems("FILLER", "ACKNOWLEDGEMENT", "COURTESY")

_FACES = MASK << LAUGHTER | MASK << FACE
_NARRATORS = frozenset(("*", "**", "***"))
"""Authors of what somebody does, as logs of IRC have it: `* ann waves`."""
_CYRILLIC = re.compile("[\u0400-\u04ff]")
# Each way to go on has one place to end at, so that a text that is none is found to be so in one look.
CODE_LINE = re.compile(r"`[^`]*`|[\w.$>:\\-]+\s*(?:\(.*\)[;}]*|=(?P<value>.*)|\{.*)", re.DOTALL)
_ENCLOSED = re.compile(r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'|`[^`]*`")
_OPERATORS = frozenset("if else and or not in is for from".split())
_PROSE = frozenset(word for word in stems("FUNCTION") - _OPERATORS if len(word) > 1)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_BRACKET = re.compile(r"[\[(|{<]")
_LENGTHS = [min(math.log1p(number) / 5, 1.15) for number in range(TEXT_MAX + 1)]
_LOG = [math.log1p(number) for number in range(TEXT_MAX + 1)]
_CONTENT = [_LOG[min(number, CONTENT_MAX)] for number in range(TEXT_MAX + 1)]


def observe(reading: Reading, context: Context) -> Features:
    """The features of a message in its context."""
    own = [earlier for earlier in context.recent if earlier.author == reading.author]
    if _is_automated(reading, own):
        return _see_automation(reading, own)
    size = len(reading.content) or _asks_a_particular(reading)
    features = _see_size(reading, size)
    _see_terms(features, reading, context)
    _see_words(features, reading, size)
    _see_form(features, reading, size)
    _see_past(features, reading, context, size)
    if own and size:
        _see_repetition(features, reading, own)
    if reading.is_question:
        _see_question(features, reading, size)
    if 1 <= size <= 2 and not reading.links and _CUES.isdisjoint(features):
        _see_aside(features, reading, size)
    return features


_CUES = frozenset(
    "problem remedy decision advice instruction report code answer short_answer open_question "
    "question_to_you short_question".split()
)
"""What a few words must have to be of use: without any of these they are said in passing."""


def _asks_a_particular(reading: Reading) -> bool:
    """Whether it asks how much, when, where or which: that says as much as a word of the trade does."""
    return reading.is_question and reading.counts & _ANY_PARTICULAR > 0


def _see_aside(features: Features, reading: Reading, size: int) -> None:
    """A few words said in passing; one, or two that name nothing, would be hardly more in any language."""
    if size == 2 and reading.specific:
        features["aside"] = 0.5
        return
    features["aside"] = 1.0
    if "compact_language" in features:
        features["compact_language"] = 0.5


def _is_automated(reading: Reading, own: Sequence[Reading]) -> bool:
    """A bot by name, a line like the author's last ones, a record with a link, a pasted table."""
    if reading.is_bot or "||" in reading.text or ('":' in reading.text and _is_data(reading)):
        return True
    same_openings = 0
    if own and len(reading.body) > 12:
        same_openings = [earlier.body[:8] for earlier in own].count(reading.body[:8])
    if reading.links:
        if same_openings:
            return True
    elif same_openings < 2:
        return False
    brackets = len(_BRACKET.findall(reading.text))
    if same_openings >= 2 and brackets:
        return True
    if brackets < 2:
        return False
    if own and reading.links and all(earlier.links for earlier in own):
        return True
    plain = reading.counts >> FUNCTION & MASK
    return plain <= max(2, len(reading.words) / 4)


def _is_data(reading: Reading) -> bool:
    """Whether a text is the fields of an object, as programs write them, and hardly any words of people."""
    plain = reading.counts >> FUNCTION & MASK
    return reading.text.count('":') >= 2 and plain <= len(reading.words) / 8


def _see_automation(reading: Reading, own: Sequence[Reading]) -> Features:
    """An automated line records what is kept elsewhere: what counts is what it names, and whether that is news."""
    content = reading.content
    features: Features = {"automated": 1.0}
    if reading.specific:
        features["automated_specific"] = _LOG[min(len(reading.specific), SPECIFIC_MAX)]
    if not reading.body.isascii() and 2 * len(_CYRILLIC.findall(reading.body)) > len(reading.body):
        features["compact_language"] = 1.0
    if reading.is_bot:
        features["bot"] = 1.0
    if reading.counts >> PROBLEM & MASK:
        features["alarm"] = 1.0
    if len(content.difference(*[earlier.content for earlier in own])) <= 2:
        features["stale"] = 1.0
    outcome = outcome_of(reading.body)
    if outcome and (outcome != "failure" or "stale" not in features):
        features[outcome] = 1.0
    if _is_like_one(content, own):
        features["automated_repeat"] = 1.0
    return features


def _is_like_one(content: set[str], earlier: Sequence[Reading]) -> bool:
    """Whether a message says much the same as an earlier one (Jaccard index of their words)."""
    for each in earlier:
        shared = len(content & each.content)
        if shared and shared >= SIMILAR * (len(content) + len(each.content) - shared):
            return True
    return False


def _see_size(reading: Reading, size: int) -> Features:
    length = len(reading.body)
    features = {"length": _LENGTHS[length]}
    if length > 80:
        features["long"] = (min(length, 300) - 80) / 100
    if size:
        features["content"] = _CONTENT[size]
    if reading.links:
        if len(reading.words) <= 4:
            features["link_only"] = 1.0
    elif size < 2:
        features["one_word" if size else "no_content"] = 1.0
    return features


def _see_terms(features: Features, reading: Reading, context: Context) -> None:
    """The words of the trade: how many there are, and whether others have just used them."""
    specific = reading.specific
    if not specific:
        if not reading.links:
            features["no_specific"] = 1.0
        return
    number = len(specific)
    features["specific"] = _LOG[min(number, SPECIFIC_MAX)]
    if number >= 3:
        features["several_specific"] = 1.0
    author = reading.author
    shared: set[str] = set()
    for earlier in context.recent:
        if earlier.author != author and not specific.isdisjoint(earlier.specific):
            shared |= specific & earlier.specific
    if shared:
        features["topical"] = min(len(shared), 3) / 3


def _see_words(features: Features, reading: Reading, size: int) -> None:
    """The cue words, most of which count only in a message that says something."""
    counts = reading.counts
    if not counts & _ANY_CUE:
        return
    if counts & _ANY_CAPPED:
        for name, shift, most in _CAPPED:
            number = counts >> shift & MASK
            if number:
                features[name] = min(number, most) / most
    if size <= 3 and counts & _ANY_WAITING:
        features["waiting"] = 1.0
    if size <= 2 and counts & _ANY_COURTESY:
        features["courtesy"] = 1.0
    if size >= 3 and counts & _ANY_CONDITION:
        features["condition"] = 1.0
    if counts & _ANY_LIFE:
        features["life"] = min(counts >> LIFE & MASK, 2) / 2
    if reading.is_question:
        return
    if counts & _ANY_DOING:
        features["report"] = 1.0
    if size >= 2 and (counts & _ANY_ADVICE or (counts & _ANY_MODAL and _is_proposed(reading))):
        features["advice"] = 1.0


def _is_proposed(reading: Reading) -> bool:
    """Whether it says "you could" or "I would"."""
    words = reading.words
    if reading.counts & _ANY_YOU and _follows(words, _YOU_WORDS, _MODAL_WORDS, 2):
        return True
    return "d" in words and _follows(words, _I, _WOULD, 1)


def _follows(words: list[str], leads: frozenset[str], ends: frozenset[str], within: int) -> bool:
    """Whether a word of `ends` comes at most so many words after one of `leads`."""
    for position, word in enumerate(words, start=1):
        if word in leads and not ends.isdisjoint(words[position : position + within]):
            return True
    return False


_CAPPED = (
    ("problem", PROBLEM, 2),
    ("remedy", REMEDY, 3),
    ("decision", DECISION, 1),
)
_ANY_CAPPED = MASK << PROBLEM | MASK << REMEDY | MASK << DECISION
_ANY_WAITING, _ANY_COURTESY, _ANY_CONDITION = (
    MASK << shift for shift in (WAITING, COURTESY, CONDITION)
)
_ANY_LIFE, _ANY_DOING, _ANY_ADVICE = (MASK << shift for shift in (LIFE, DOING, ADVICE))
_ANY_MODAL, _ANY_YOU, _ANY_CODE = MASK << MODAL, MASK << YOU, MASK << CODE
_ANY_PARTICULAR = MASK << PARTICULAR
_ANY_CUE = (_ANY_CAPPED | _ANY_WAITING | _ANY_COURTESY | _ANY_CONDITION) | (
    _ANY_LIFE | _ANY_DOING | _ANY_ADVICE | _ANY_MODAL
)


def _see_form(features: Features, reading: Reading, size: int) -> None:
    """Script, code, faces, shouting, corrections, commands and how the message begins."""
    body, words = reading.body, reading.words
    code = 0
    if reading.counts & _ANY_CODE:
        code = min(reading.counts >> CODE & MASK, CODE_MAX)
        features["code"] = code / CODE_MAX
        line = CODE_LINE.fullmatch(body)
        if line and not _goes_on_in_prose(line["value"]):
            features["code_only"] = 1.0
    has_face = bool(reading.counts & _FACES)
    if not body.isascii():
        has_face = has_face or _EMOJI.search(body) is not None
        # The same is said in fewer words without articles, and mostly without "to be".
        if size and _CYRILLIC.search(body):
            features["compact_language"] = 1.0
    end = body[-1:]
    if has_face or (end in ("(", ")") and body.count(")") != body.count("(")):
        features["face"] = 1.0
    if size <= 4 and "!" in body and not code:
        features["exclamation"] = 1.0
    if len(words) <= 4:
        if end == "*" or (body[:1] == "*" and body[1:2].isalpha()):
            features["correction"] = 1.0
        if body[:1] in "!/." and body[1:2].isalpha() and "/" not in body[1:]:
            features["command"] = 1.0
    if size <= 2 and words and words[0] in _ACKNOWLEDGEMENTS:
        features["acknowledgement"] = 1.0
    elif len(words) >= 3 and not reading.is_question and _begins_with_instruction(words):
        features["instruction"] = 1.0


def _goes_on_in_prose(value: str | None) -> bool:
    """Whether what is assigned is followed by words as prose has them, or by a comma."""
    if not value:
        return False
    bare = _ENCLOSED.sub("", value)
    return "," in bare or not _PROSE.isdisjoint(take_apart(bare)[0])


def _begins_with_instruction(words: list[str]) -> bool:
    """Whether the first word that is no filler ("then", "ok", "or just") tells somebody to do something."""
    for word in words[:3]:
        if word in _INSTRUCTIONS:
            return True
        if word not in _FILLERS:
            return False
    return False


def _see_past(features: Features, reading: Reading, context: Context, size: int) -> None:
    """Whom the message speaks to, and whether it answers a question of theirs or the last one."""
    addressee = reading.addressee
    if reading.called in _NARRATORS:
        features["action"] = 1.0
    elif addressee or reading.reply_to:
        features["addressed" if size >= 2 else "addressed_briefly"] = 1.0
    if reading.is_question:
        return
    recent = context.recent
    if reading.reply_to:
        answers = at_once = _replies_to_question(reading.reply_to, context)
    else:
        theirs = [e.is_question for e in recent if e.called == addressee] if addressee else []
        answers = True in theirs[-2:]
        at_once = bool(recent) and _asks(recent[-1], reading)
    if answers:
        features["answer"] = 1.0
    if at_once and 1 <= size <= 2 and not reading.counts & _ANY_COURTESY:
        features["short_answer"] = 1.0


def _asks(earlier: Reading, reading: Reading) -> bool:
    """Whether an earlier message asks the author of this one, or anyone, and no third person is spoken to."""
    return (
        earlier.is_question
        and earlier.author != reading.author
        and earlier.addressee in ("", reading.called)
        and reading.addressee in ("", earlier.called)
    )


def _replies_to_question(reply_to: str, context: Context) -> bool:
    if context.parent is not None:
        return context.parent.is_question
    return any(e.is_question for e in context.recent if e.message_id == reply_to)


def _see_repetition(features: Features, reading: Reading, own: Sequence[Reading]) -> None:
    if reading.text in [earlier.text for earlier in own]:
        features["repetition"] = 1.0
    if len(reading.content) >= 3 and _is_like_one(reading.content, own):
        features["near_repetition"] = 1.0


def _see_question(features: Features, reading: Reading, size: int) -> None:
    """Whether a question stands by itself or asks the other for more."""
    counts = reading.counts
    open_word, you, self = (counts >> shift & MASK for shift in (OPEN_QUESTION, YOU, SELF))
    asks_one = you or reading.addressee or reading.reply_to
    if size >= 3 and reading.specific and not asks_one and "compact_language" not in features:
        features["asked_of_all"] = 1.0
    if size >= 3 and (open_word or self) and (not you or (self and open_word)):
        features["open_question"] = min(size, 6) / 6
    elif you:
        features["question_to_you"] = 1.0
    elif size < 3:
        features["short_question"] = 1.0


FEATURE_NAMES = tuple(
    "length content long no_content one_word specific several_specific no_specific topical link_only "
    "code code_only problem remedy decision advice condition instruction open_question question_to_you "
    "short_question answer short_answer aside report life addressed addressed_briefly waiting courtesy acknowledgement "
    "face exclamation correction command repetition near_repetition compact_language automated "
    "automated_specific automated_repeat stale bot alarm asked_of_all action failure recovery routine".split()
)
"""Every feature there is."""
