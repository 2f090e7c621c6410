"""What one message does in a conversation: whom it addresses, what it asks, how much it says."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from services.extractor import courtesies, cues, labels, slavic_events, stakes
from services.extractor.extraction import WindowMessage
from services.extractor.tokens import CODE, PACKAGE, URL, content_words, split_words, stem
from services.extractor.writing import as_read, straight

_ADDRESSED: Final = re.compile(r"\s*[@<]?([^\s,:<>@]{2,32})(?:>|[:,](?=\s)|:$)\s*")
_MENTION: Final = re.compile(r"(?<!\w)@([\w.|\-\[\]]{2,32})")
_NAME_BEHIND: Final = re.compile(r"(?<!\w)@[\w.|-]{2,32}((?:[ \xa0][A-ZА-ЯІЇЄҐ][\w’'-]+){1,2})")
_QUESTION_MARK: Final = re.compile(r"[?？؟;]\s*$|[?？؟](?=\s|$|[)\"'])")
_READ_CHARACTERS_MAX: Final = 4000
_TEXTS_KEPT: Final = 2048
_NAME_CHARACTERS_MIN: Final = 3
_STATUS_OPENINGS_MIN: Final = 3
_ALSO: Final = re.compile(r"\s*(?:and|&|,|/|та|і|й|и)\s*@?([^\s,:]{2,32})[\s,:]+", re.IGNORECASE)
_COMMAND: Final = re.compile(
    r"\s*(?:\[(?:topic|link|agenda|vote|endvote|тема)\]|(?:[#!/][a-z]|\.(?-i:[a-z]))[a-z]+(?:\s|$)"
    r"|meeting (?:started|ended|finished) at\s|commands available:|(?:action|agreed|idea|link|topic) received:)",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(
    r"\s*(?:\[(?:topic|agenda|тема)\]|#(?:topic|agenda)\s|(?:new )?topic:\s|тема:\s|#{1,4}\s+(?=\w)|={2,}\s*(?=\w))\s*",
    re.IGNORECASE,
)
# What programs say of their routine: a bracketed name first, or a source in brackets and a link last.
_NOTICE: Final = re.compile(
    r"\s*\[[\w./ -]{2,40}\]\s+[^?]*$|[^?]{0,200}(?:\[[\w.-]+/[\w./-]+\]|"
    r"\[[\w./-]+\] \([\w./-]+\))[^?]{0,200}https?://\S+\s*$"
)
_ECHO_REACH: Final = 4
_TURNING_WORDS_MIN: Final = 4
_SOCIAL: Final = (cues.THANKS, cues.GREETING, cues.LEAVING, cues.AUDIENCE, cues.REACTION)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A message read by rules; `addressee` is a folded name, `body` lacks name, greeting and courtesies.

    It `is_bare` where it only carries talk on, `fails` where it tells a failure, `puzzles` where it tells trouble.
    """

    index: int
    message: WindowMessage
    speaker: str
    addressee: str | None
    body: str
    words: tuple[str, ...]
    stems: frozenset[str]
    substance: float
    is_question: bool
    is_asking: bool
    is_social: bool
    is_automatic: bool
    is_context: bool
    confirms: bool
    has_link: bool
    is_command: bool
    is_heading: bool
    greets: bool
    turns: bool
    affirms: bool
    declares: bool
    plans: bool
    is_minuted: bool
    is_bare: bool
    fails: bool
    puzzles: bool

    @property
    def asks(self) -> bool:
        """Whether it is a question, or asks in other words."""
        return self.is_question or self.is_asking

    @property
    def is_to_all(self) -> bool:
        """Whether it speaks to nobody in particular, and replies to no message."""
        return self.addressee is None and self.message.reply_to is None


def folded_name(name: str) -> str:
    """A name as it is compared: case and marks around it do not matter."""
    return straight(name).casefold().strip("@_-^`|[]<>:, ")


def heading_text(text: str) -> str:
    """A heading without the mark that makes it one."""
    return _HEADING.sub("", text, count=1).strip(" =")


def read(messages: Sequence[WindowMessage], context: int = 0) -> list[Utterance]:
    """Read a window's messages in order, their letters in one; the first `context` are marked as such."""
    messages = [as_read(message) for message in messages]
    names = {folded_name(message.author): message.author for message in messages}
    automatic = automatic_speakers(messages)
    utterances = [
        _utterance(index, message, names, automatic, index < context)
        for index, message in enumerate(messages)
    ]
    return [_silenced(utterance, utterances) for utterance in utterances]


def _silenced(utterance: Utterance, utterances: Sequence[Utterance]) -> Utterance:
    """The utterance, without substance where it is a command or echoes someone else."""
    before = utterances[max(0, utterance.index - _ECHO_REACH) : utterance.index]
    if any(earlier.is_command and _echoes(utterance, earlier) for earlier in before):
        return replace(utterance, substance=0.0, is_command=True)
    echoes = not utterance.is_question and any(
        _echoes(utterance, earlier) for earlier in before if not earlier.is_question
    )
    return replace(utterance, substance=0.0) if echoes or utterance.is_command else utterance


def _echoes(utterance: Utterance, earlier: Utterance) -> bool:
    """Whether someone repeats another's words, as bots do with what they are told."""
    return (
        len(utterance.stems) >= 2
        and utterance.speaker != earlier.speaker
        and len(utterance.stems & earlier.stems) >= 0.75 * len(utterance.stems)
        and len(utterance.words) >= 0.6 * len(earlier.words)
    )


def _utterance(
    index: int,
    message: WindowMessage,
    names: Mapping[str, str],
    automatic: frozenset[str],
    is_context: bool,
) -> Utterance:
    speaker = _speaker(message, names)
    text = message.text[:_READ_CHARACTERS_MAX]
    is_minuted = bool(labels.MINUTED.match(text))
    addressee, said = (None, text) if is_minuted else split_address(text, names)
    whole = strip_greeting(said)
    body = courtesies.telling(whole, names)
    is_bare = courtesies.says_nothing(whole, names)
    all_words = _said(whole, names)
    words = all_words if body == whole else _said(body, names)
    is_social = _is_social(whole, all_words)
    # Who calls something to mind has no trouble with what does not work any more.
    unsolved = "" if stakes.REMINDS.match(body) else slavic_events.unsolved(body)
    return Utterance(
        index,
        message,
        speaker,
        addressee if addressee != speaker else None,
        body,
        words,
        frozenset(stem(word) for word in words),
        0.0 if is_social or is_bare else _substance(whole, all_words),
        is_question(body),
        bool(cues.ASKING.search(stakes.REPORTED.sub(" ", body))),
        is_social,
        speaker in automatic or message.author_is_bot,
        is_context,
        _confirms(whole, all_words),
        bool(URL.search(body)),
        bool(_COMMAND.match(message.text)) and not is_minuted,
        bool(_HEADING.match(message.text)),
        bool(cues.GREETING.match(said.lstrip())),
        bool(cues.TURNING.match(body)) and len(words) >= _TURNING_WORDS_MIN,
        bool(cues.YES_NO.match(whole)),
        not is_social and _declares(body),
        not is_social and bool(cues.PLANNED.search(body)),
        is_minuted,
        is_bare,
        bool(cues.FAILURE.search(unsolved)),
        bool(cues.PROBLEM.search(unsolved)),
    )


def _said(text: str, names: Collection[str]) -> tuple[str, ...]:
    """The words of a text that carry meaning, without those that people are called by."""
    return tuple(word for word in content_words(text) if word not in names)


def _declares(body: str) -> bool:
    """Whether a text itself says that it matters: by a label, as a decision, or as a task taken."""
    is_labelled = labels.labelled_as(body) is not None
    return is_labelled or bool(cues.SETTLED.search(body)) or cues.commits(body)


def _speaker(message: WindowMessage, names: Mapping[str, str]) -> str:
    """Who speaks, folded; bridges write what a person does as a text of nobody that begins with the name."""
    author = folded_name(message.author)
    if any(character.isalnum() for character in author):
        return author
    first = folded_name(message.text.strip().partition(" ")[0])
    return first if first in names else author


def split_address(text: str, names: Mapping[str, str]) -> tuple[str | None, str]:
    """The folded name a text is addressed to, if any, and the text without it."""
    match = _ADDRESSED.match(text)
    if match:
        name = folded_name(match.group(1))
        marked = text.lstrip()[:1] in "@<" or match.group().rstrip().endswith(":")
        if name in names or (marked and _may_be_name(match.group(1), name)):
            return name, _without_others(text[match.end() :], names)
    first, _, rest = text.strip().partition(" ")
    if folded_name(first) in names and (first.startswith("@") or len(first) > 3) and rest:
        return folded_name(first), _without_others(rest, names)
    for mention in _MENTION.finditer(text):
        if folded_name(mention.group(1)) in names:
            return folded_name(mention.group(1)), text
    return _named_inside(text, names), text


def _without_others(text: str, names: Mapping[str, str]) -> str:
    """The text without the further people it opens by addressing."""
    match = _ALSO.match(text)
    if match and folded_name(match.group(1)) in names:
        return text[match.end() :]
    return text


def _may_be_name(written: str, name: str) -> bool:
    return (
        name not in labels.LABELLING
        and labels.labelled_as(f"{name}: -") is None
        and not any(mark in written for mark in "/()[]{}=\"'.")
        and any(character.isalpha() for character in name)
        and (written[:1].isascii() or written[:1].isupper())
    )


def _named_inside(text: str, names: Mapping[str, str]) -> str | None:
    """Someone named at the end, or anywhere when the name could not be a plain word."""
    words = [folded_name(word.strip(".!?;)(")) for word in text.split()]
    if words and words[-1] in names and len(words[-1]) > 3:
        return words[-1]
    for word in words[:6]:
        if word in names and len(word) > 4 and word not in cues.COMMON:
            return word
    return None


def strip_greeting(text: str) -> str:
    """The text without the greeting it opens with."""
    rest = text.strip()
    match = cues.GREETING.match(rest)
    if not match:
        return rest
    rest = rest[match.end() :].lstrip(" ,.!:)(")
    audience = cues.AUDIENCE.match(rest)
    if audience:
        rest = rest[audience.end() :]
    return rest.lstrip(" ,.!:-–)(")


@lru_cache(maxsize=_TEXTS_KEPT)
def is_question(text: str) -> bool:
    """Whether a text asks: a question mark outside links, or the wording of a question."""
    plain = URL.sub(" ", text)
    if _QUESTION_MARK.search(plain) and not plain.rstrip().endswith(";"):
        return True
    plain = plain.strip()
    return bool(cues.ASKING.match(plain) or cues.INVERTED.match(plain))


def _is_social(body: str, words: Sequence[str]) -> bool:
    """Whether a text only greets, thanks or reacts."""
    if URL.search(body) or CODE.search(body):
        return False
    rest = cues.strip_all(body, _SOCIAL)
    left = [word for word in content_words(rest) if word in words]
    if not left:
        return not any(character.isdigit() for character in body)
    return len(left) <= 1 and len(words) <= 2 and bool(cues.THANKS.search(body))


def _confirms(body: str, words: Sequence[str]) -> bool:
    """Whether a text says that something helped."""
    helped = cues.WORKED.search(body) or (len(words) <= 4 and cues.THANKS.search(body))
    return bool(helped) and not is_question(body)


def _substance(body: str, words: Sequence[str]) -> float:
    """How much a text says: distinct content words, links and code, with a ceiling."""
    names = bool(CODE.search(body) or PACKAGE.search(body))
    marks = 1.5 * bool(URL.search(body)) + 1.0 * names
    marks += 0.5 * any(character.isdigit() for character in body)
    return min(14.0, len(set(words))) + marks


def automatic_speakers(messages: Sequence[WindowMessage]) -> frozenset[str]:
    """Speakers whose messages all follow a template: status feeds, command bots."""
    spoken: dict[str, list[str]] = {}
    for message in messages:
        text = message.text[:_READ_CHARACTERS_MAX]
        spoken.setdefault(folded_name(message.author), []).append(text)
    return frozenset(name for name, texts in spoken.items() if _is_templated(texts, spoken))


def _is_templated(texts: Sequence[str], names: Mapping[str, object]) -> bool:
    """Whether most texts begin in very few ways and carry a link or a bracketed mark, or all are notices of routine."""
    if all(map(_is_notice, texts)):
        return True
    if len(texts) < 2:
        return False
    openings: dict[str, int] = {}
    for text in texts:
        opening = re.sub(r"[\d\W_]+", " ", text).strip().casefold().partition(" ")[0]
        openings[opening] = openings.get(opening, 0) + 1
    if any(opening in names for opening in openings):
        return False
    common = max(openings.values())
    marked = sum(bool(URL.search(text) or re.match(r"\s*[\[(\d]", text)) for text in texts)
    if len(texts) < _STATUS_OPENINGS_MIN:
        return common == marked == len(texts) and min(len(text) for text in texts) >= 40
    return common * 2 >= len(texts) and marked * 3 >= 2 * len(texts)


def _is_notice(text: str) -> bool:
    """Whether a text is a program's notice of routine, and no line of minutes."""
    routine = _NOTICE.match(text) and cues.ROUTINE.search(text)
    return bool(routine) and not labels.MEETING.match(text) and labels.labelled_as(text) is None


def people(utterances: Sequence[Utterance]) -> frozenset[str]:
    """What those are called who speak or are spoken to, folded: whole names and their longer parts."""
    found: set[str] = set()
    for utterance in utterances:
        whole = folded_name(utterance.message.author)
        found.update((whole, utterance.speaker, utterance.addressee or ""))
        found.update(part for part in whole.split() if len(part) >= _NAME_CHARACTERS_MIN)
    found |= _further_names([utterance.message.text for utterance in utterances])
    return frozenset(found - {""})


def _further_names(texts: Sequence[str]) -> set[str]:
    """The rest of names that are mentioned whole (`@Ann Lee`), folded: told behind mentions again and nowhere else."""
    behind = Counter(
        folded_name(word)
        for text in texts
        for match in _NAME_BEHIND.finditer(text)
        for word in match.group(1).split()
    )
    if not behind:
        return set()
    anywhere = Counter(folded_name(word) for text in texts for word in split_words(text))
    return {name for name, count in behind.items() if count > 1 and count == anywhere[name]}


def idf(utterances: Sequence[Utterance]) -> Callable[[str], float]:
    """Rarity of a stem among these utterances, 1 for a stem said once, towards 0 when common."""
    frequency: dict[str, int] = {}
    for utterance in utterances:
        for word in utterance.stems:
            frequency[word] = frequency.get(word, 0) + 1
    return lambda word: 1.0 / (1.0 + 0.35 * max(0, frequency.get(word, 1) - 2))
