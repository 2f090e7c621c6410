"""From a model's JSON to drafts: every item is checked alone, refused items are counted."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, cast

from services.extractor import polarity
from services.extractor.extraction import (
    ATOM_TYPES,
    TITLE_CHARACTERS_MAX,
    AtomDraft,
    AtomType,
    Evidence,
    MessageId,
    Rejection,
    TopicDraft,
    WindowMessage,
)
from services.extractor.grounding import Fold, fold, ground
from services.extractor.titles import tidy
from services.extractor.tokens import content_stems, links_in, specific_words, stem
from services.extractor.writing import composed, straight

ANSWER_CHARACTERS_MAX: Final = 100_000
ATOMS_MAX: Final = 16
TOPICS_MAX: Final = 8
IDS_MAX: Final = 12
QUOTE_CHARACTERS_MAX: Final = 160
CONTENT_CHARACTERS_MAX: Final = 400
SUPPORT_MIN: Final = 0.6
TOPIC_SUPPORT_MIN: Final = 0.5
PART_MIN: Final = 0.3
STEM_CHARACTERS_MIN: Final = 3
# What answers are checked for, as far as no prompt tells it.
CHECKS_VERSION: Final = "4"
# What JSON can say and no table can hold: NUL, and half of a pair, which models leave of an emoji.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_MARK: Final = re.compile(r"\[(?:\d+|-)\]\s*")


class BadAnswer(Exception):
    """The model's answer is not the JSON object that was asked for."""


@dataclass(slots=True)
class Checked:
    """Drafts that passed and how many items were refused for which reason."""

    atoms: list[AtomDraft] = field(default_factory=list)
    topics: list[TopicDraft] = field(default_factory=list)
    rejected: Counter[Rejection] = field(default_factory=Counter)


def extract_schema(messages: int) -> dict[str, Any]:
    """JSON schema of an extraction over messages numbered from 1; flat, bounded everywhere."""
    ids = {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": messages},
        "minItems": 1,
        "maxItems": min(IDS_MAX, messages),
    }
    atom = _object(
        ids=ids,
        quote={"type": "string", "minLength": 1, "maxLength": QUOTE_CHARACTERS_MAX},
        type={"type": "string", "enum": list(ATOM_TYPES)},
        title={"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX},
        content={"type": "string", "minLength": 1, "maxLength": CONTENT_CHARACTERS_MAX},
    )
    topic = _object(
        title={"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX}, ids=ids
    )
    return _object(
        atoms={"type": "array", "items": atom, "maxItems": ATOMS_MAX},
        topics={"type": "array", "items": topic, "maxItems": TOPICS_MAX},
    )


def headline_schema() -> dict[str, Any]:
    """JSON schema of a headline for one note."""
    return _object(headline={"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX})


def headline_answer(headline: str) -> str:
    """A headline in the form in which a model answers with it."""
    return json.dumps({"headline": headline}, ensure_ascii=False)


def headline_of(text: str) -> str:
    """The headline an answer gives; raises BadAnswer for any other shape, or one cut off at its bound."""
    headline = _text(load(text), "headline")
    if not 0 < len(headline) < TITLE_CHARACTERS_MAX:
        raise BadAnswer("no headline that fits")
    return headline


def _text(item: Mapping[str, Any], key: str) -> str:
    """What an item says under a key, as one line that can be stored; empty if it says nothing."""
    text = item.get(key)
    return composed(tidy(_UNSTORABLE.sub("", text))) if isinstance(text, str) else ""


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def load(text: str) -> dict[str, Any]:
    """The answer as an object; raises BadAnswer for any other shape."""
    if len(text) > ANSWER_CHARACTERS_MAX:
        raise BadAnswer(f"{len(text)} characters")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("not JSON") from error
    if not isinstance(answer, dict):
        raise BadAnswer("not an object")
    return answer


def parse(text: str, *keys: str) -> dict[str, list[dict[str, Any]]]:
    """The answer's lists under these keys; raises BadAnswer for any other shape."""
    answer = load(text)
    lists: dict[str, list[dict[str, Any]]] = {}
    for key in keys:
        items = answer.get(key)
        if not isinstance(items, list):
            raise BadAnswer(f"no list {key}")
        lists[key] = [item if isinstance(item, dict) else {} for item in items]
    return lists


def check(
    answer: Mapping[str, Sequence[Mapping[str, Any]]], numbered: Sequence[WindowMessage]
) -> Checked:
    """Ground every atom and topic of an answer in the messages it numbers from 1."""
    checked = Checked()
    # Many items may cite the same long messages.
    folded_of = cache(fold)
    for item in answer["atoms"][: 4 * ATOMS_MAX]:
        outcome = _atom_of(item, numbered, folded_of)
        if isinstance(outcome, str):
            checked.rejected[outcome] += 1
        elif any(_is_same(outcome, known) for known in checked.atoms):
            checked.rejected["duplicate"] += 1
        else:
            checked.atoms.append(outcome)
    for item in answer.get("topics", ())[:TOPICS_MAX]:
        topic = _topic_of(item, numbered, checked.atoms)
        if topic is not None:
            checked.topics.append(topic)
    return checked


def _atom_of(
    item: Mapping[str, Any], numbered: Sequence[WindowMessage], folded_of: Fold
) -> AtomDraft | Rejection:
    """The atom an item describes, grounded, or the reason why it is refused."""
    title, content, quote = (_text(item, key) for key in ("title", "content", "quote"))
    if not (title and content and quote):
        return "empty"
    if len(title) > TITLE_CHARACTERS_MAX or len(content) > 2 * CONTENT_CHARACTERS_MAX:
        return "too_long"
    if item.get("type") not in ATOM_TYPES:
        return "bad_type"
    cited = cited_messages(item.get("ids"), numbered)
    if not cited:
        return "unknown_id"
    proofs = {message.id: _ground(quote, message, folded_of) for message in cited}
    if not any(proofs.values()):
        return "quote_mismatch"
    evidence = _evidence(proofs, f"{title} {content}", cited, folded_of)
    if not evidence:
        return "unsupported"
    sources = [message for message in cited if message.id in {e.message_id for e in evidence}]
    if not (is_supported(title, sources) and is_supported(content, sources)):
        return "unsupported"
    told = [message.text for message in sources]
    if polarity.contradicts(title, told) or polarity.contradicts(content, told):
        return "unsupported"
    return AtomDraft(cast(AtomType, item["type"]), title, content, tuple(evidence), 0.6)


def cited_messages(ids: Any, numbered: Sequence[WindowMessage]) -> list[WindowMessage]:
    """The messages an item cites, in order; nothing at all when any number is not theirs."""
    if not isinstance(ids, list) or not ids or len(ids) > max(IDS_MAX, len(numbered)):
        return []
    known = range(1, len(numbered) + 1)
    if any(type(number) is not int or number not in known for number in ids):
        return []
    return [numbered[number - 1] for number in sorted(set(ids))]


def _evidence(
    proofs: Mapping[MessageId, Evidence | None],
    said: str,
    cited: Sequence[WindowMessage],
    folded_of: Fold,
) -> list[Evidence]:
    """The quote where it stands, other cited messages whole; of several only those that tell a part of the atom."""
    stems = content_stems(said)
    evidence: list[Evidence] = []
    for message in cited:
        shared = stems & content_stems(composed(message.text))
        if len(cited) == 1 or len(shared) >= max(2, PART_MIN * len(stems)):
            proof = proofs[message.id] or ground(message.text, message, folded_of)
            evidence += [proof] if proof else []
    return evidence


def _ground(quote: str, message: WindowMessage, folded_of: Fold) -> Evidence | None:
    """Evidence for a quote, which may bear the number and the author that stand before the text in a prompt."""
    proof = ground(quote, message, folded_of)
    if proof is not None:
        return proof
    spoken = _MARK.sub("", quote, count=1) if _MARK.match(quote) else quote
    author, colon, rest = spoken.partition(":")
    if colon and author.casefold() == message.author.casefold():
        spoken = rest
    return ground(spoken, message, folded_of) if spoken != quote else None


def support(said: str, sources: Sequence[WindowMessage]) -> float:
    """The share of content words that stand in the cited messages or are their authors' names."""
    words = content_stems(said)
    return len(words & _stems(sources)) / len(words) if words else 0.0


def unsaid(said: str, sources: Sequence[WindowMessage]) -> frozenset[str]:
    """The content words that stand in no cited message in any form: stems neither of which begins the other."""
    known = _stems(sources)
    missing = content_stems(said) - known
    return frozenset(word for word in missing if not any(_is_form(word, each) for each in known))


def _is_form(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= STEM_CHARACTERS_MIN and long.startswith(short)


def _stems(sources: Sequence[WindowMessage]) -> frozenset[str]:
    """The stems of what messages and the names of their authors tell."""
    return frozenset[str]().union(*(content_stems(_told(message)) for message in sources))


def _told(message: WindowMessage) -> str:
    """What a message and the name of its author tell, as it is compared."""
    return straight(composed(f"{message.author} {message.text}"))


def is_supported(
    said: str, sources: Sequence[WindowMessage], share_min: float = SUPPORT_MIN
) -> bool:
    """Whether enough of a text's words, and all that it names exactly, stand in the cited messages."""
    said, stems = straight(said), _stems(sources)
    known = " ".join(map(_told, sources)).casefold()
    plain = frozenset(said.casefold().split()) if is_title_case(said) else frozenset[str]()
    named = (
        word
        for word in specific_words(said)
        if stem(word) not in stems and not (word.isalpha() and word in plain)
    )
    return (
        support(said, sources) >= share_min
        and all(word in known for word in named)
        and (all(link.casefold() in known for link in links_in(said)))
    )


def is_title_case(text: str) -> bool:
    """Whether most words begin with a capital, so that a capital alone marks no name."""
    words = [word for word in text.split() if word[0].isalpha()]
    return sum(word[0].isupper() for word in words) > 0.5 * len(words)


def _is_same(one: AtomDraft, other: AtomDraft) -> bool:
    """Whether two atoms say the same of the same messages."""
    return one.message_ids == other.message_ids and (
        one.title.casefold() == other.title.casefold()
        or one.content.casefold() == other.content.casefold()
    )


def _topic_of(
    item: Mapping[str, Any], numbered: Sequence[WindowMessage], atoms: Sequence[AtomDraft]
) -> TopicDraft | None:
    title, cited = _text(item, "title"), cited_messages(item.get("ids"), numbered)
    if not title or not cited or len(title) > TITLE_CHARACTERS_MAX:
        return None
    if not is_supported(title, cited, TOPIC_SUPPORT_MIN):
        return None
    ids: tuple[MessageId, ...] = tuple(message.id for message in cited)
    indices = tuple(i for i, atom in enumerate(atoms) if set(atom.message_ids) & set(ids))
    return TopicDraft(title, ids, indices)
