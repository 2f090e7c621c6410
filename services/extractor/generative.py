"""The engine that lets a language model write all atoms: one constrained call a window, or one a half."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from services.common.errors import ItemFailed
from services.extractor import answers, prompting
from services.extractor.extraction import (
    AtomDraft,
    Extraction,
    LinkDraft,
    MessageId,
    Model,
    Outcome,
    Rejection,
    TopicDraft,
    Window,
    WindowMessage,
)
from services.extractor.grounded import GroundedEngine, assemble
from services.extractor.structure import Weights, parents, threads
from services.extractor.utterances import read
from services.extractor.writing import as_read

log = logging.getLogger(__name__)

GENERATIVE_VERSION: Final = "3"
_WORST_FIRST: Final[tuple[Outcome, ...]] = ("cut_off", "invalid", "ok", "ungrounded", "empty")
_FAILED: Final = ("cut_off", "invalid")


@dataclass(slots=True)
class Part:
    """What one call gave and cost, and the messages it was about, noise among them."""

    outcome: Outcome
    atoms: list[AtomDraft] = field(default_factory=list)
    topics: list[TopicDraft] = field(default_factory=list)
    rejected: Counter[Rejection] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    message_ids: frozenset[MessageId] = frozenset()


@dataclass(frozen=True, slots=True)
class GenerativeEngine:
    """Extracts with a language model; `model_name` is part of the version.

    A call takes at most `characters_max` of messages and gives at most `tokens_max` tokens. What the model has no
    usable answer for is read by the `fallback`, if there is one.
    """

    model: Model
    model_name: str
    fallback: GroundedEngine | None = None
    tokens_max: int = 1600
    characters_max: int = 6000
    delimiter: Callable[[], str] = prompting.random_delimiter
    name: Literal["generative"] = "generative"

    @property
    def version(self) -> str:
        """Code, prompts and model, as results depend on all three."""
        prompts = f"{prompting.digest('extract')}.{answers.CHECKS_VERSION}"
        behind = f"+{self.fallback.version}" if self.fallback else ""
        return f"generative-{GENERATIVE_VERSION}-{prompts}-{self.model_name}{behind}"

    async def extract(self, window: Window) -> Extraction:
        """One call; when its answer is cut off or invalid, one for each half, then the fallback; failures raise."""
        own = window.own
        worth = [message for message in own if message.label != "noise"]
        if not worth:
            return Extraction()
        context = window.messages[: window.context]
        first = await self._ask(context, own)
        parts = [first]
        if first.outcome in _FAILED and len(worth) > 1:
            half = len(worth) // 2
            border = own.index(worth[half])
            parts.append(await self._ask(context, own[:border]))
            parts.append(await self._ask(worth[max(0, half - 2) : half], own[border:]))
        return await asyncio.to_thread(self._extracted, window, parts)

    def _extracted(self, window: Window, parts: Sequence[Part]) -> Extraction:
        extraction = _joined(window, parts)
        return _completed(window, extraction, self.fallback) if self.fallback else extraction

    async def _ask(self, context: Sequence[WindowMessage], own: Sequence[WindowMessage]) -> Part:
        worth = [message for message in own if message.label != "noise"]
        # The language of a window of long messages takes a tenth of a second to tell.
        prompt = await asyncio.to_thread(self._prompt, context, worth)
        schema = answers.extract_schema(len(worth))
        ids = frozenset(message.id for message in own)
        try:
            completion = await self.model.complete(prompt, schema, self.tokens_max)
        except ItemFailed as error:
            # A provider may refuse what somebody said; the other half, and structure, can be read without it.
            log.warning("a call for %d messages failed: %s", len(worth), error)
            return Part("invalid", message_ids=ids)
        is_cut_off = completion.finish_reason == "length"
        part = await asyncio.to_thread(_read, completion.text, is_cut_off, worth)
        part.message_ids = ids
        part.tokens_in, part.tokens_out = completion.tokens_in, completion.tokens_out
        return part

    def _prompt(
        self, context: Sequence[WindowMessage], worth: Sequence[WindowMessage]
    ) -> list[dict[str, str]]:
        language = prompting.dominant_language(as_read(message).text for message in worth)
        delimiter = self.delimiter()
        cap = prompting.fair_cap([m.text for m in (*context, *worth)], self.characters_max)
        lines = [prompting.message_line("-", as_read(message), cap) for message in context]
        lines += [prompting.message_line(str(n), as_read(m), cap) for n, m in enumerate(worth, 1)]
        return [
            {"role": "system", "content": prompting.fill("extract", language, delimiter=delimiter)},
            {"role": "user", "content": prompting.fenced(lines, delimiter)},
        ]


def _read(text: str, is_cut_off: bool, worth: Sequence[WindowMessage]) -> Part:
    """What an answer is worth."""
    try:
        checked = answers.check(answers.parse(text, "atoms", "topics"), worth)
    except answers.BadAnswer:
        return Part("cut_off" if is_cut_off else "invalid")
    outcome: Outcome = "ok" if checked.atoms else "ungrounded" if checked.rejected else "empty"
    return Part(outcome, checked.atoms, checked.topics, checked.rejected)


def _joined(window: Window, parts: Sequence[Part]) -> Extraction:
    """One extraction from the call, or from its two halves; a half that failed is not hidden."""
    used = parts if len(parts) == 1 else parts[1:]
    atoms: list[AtomDraft] = []
    topics: list[TopicDraft] = []
    for part in used:
        offset = len(atoms)
        atoms += part.atoms
        topics += [
            TopicDraft(t.title, t.message_ids, tuple(i + offset for i in t.atom_indices))
            for t in part.topics
        ]
    outcomes = {part.outcome for part in used}
    failed = [part for part in used if part.outcome in _FAILED]
    rejected = sum((part.rejected for part in used), Counter[Rejection]())
    if failed:
        rejected["no_answer"] = len(failed)
    thread_of = _threads(window)
    return Extraction(
        tuple(_kept(topics, window, thread_of)),
        tuple(atoms),
        answer_links(window, atoms, thread_of),
        next(outcome for outcome in _WORST_FIRST if outcome in outcomes),
        dict(rejected),
        sum(part.tokens_in for part in parts),
        sum(part.tokens_out for part in parts),
        len(parts),
        frozenset[MessageId]().union(*(part.message_ids for part in failed)),
    )


def _completed(window: Window, found: Extraction, fallback: GroundedEngine) -> Extraction:
    """The extraction with what structure finds in the parts that the model failed on."""
    if not found.unread:
        return found
    reading = fallback.read(window)
    own = [each for each in reading.candidates if found.unread.issuperset(each.draft.message_ids)]
    behind, offset = assemble(reading, own), len(found.atoms)
    topics = [
        TopicDraft(topic.title, ids, tuple(index + offset for index in topic.atom_indices))
        for topic in behind.topics
        if (ids := tuple(each for each in topic.message_ids if each in found.unread))
    ]
    links = [
        replace(link, source=link.source + offset, target=link.target + offset)
        for link in behind.links
    ]
    return replace(
        found,
        topics=(*found.topics, *topics),
        atoms=(*found.atoms, *behind.atoms),
        links=(*found.links, *links),
    )


def _threads(window: Window) -> dict[MessageId, int]:
    """The thread of talk that each message belongs to, by its structure."""
    utterances = read(window.messages, window.context)
    grouped = threads(utterances, parents(utterances, Weights()))
    return {u.message.id: n for n, thread in enumerate(grouped) for u in thread}


def _kept(
    topics: Sequence[TopicDraft], window: Window, thread_of: Mapping[MessageId, int]
) -> Iterator[TopicDraft]:
    """The topics with those of their messages whose thread was opened in the title's words.

    Who joins a thread cannot name what the others said in it.
    """
    opened_by: dict[int, str] = {}
    for message in window.messages:
        opened_by.setdefault(thread_of[message.id], message.author)
    for topic in topics:
        cited: dict[int, list[WindowMessage]] = {}
        for message in window.own:
            if message.id in topic.message_ids:
                cited.setdefault(thread_of[message.id], []).append(message)
        telling = [
            message.id
            for thread, messages in cited.items()
            if answers.is_supported(
                topic.title,
                [message for message in messages if message.author == opened_by[thread]],
                answers.TOPIC_SUPPORT_MIN,
            )
            for message in messages
        ]
        if telling:
            order = [message_id for message_id in topic.message_ids if message_id in telling]
            yield TopicDraft(topic.title, tuple(order), topic.atom_indices)


def answer_links(
    window: Window, atoms: Sequence[AtomDraft], thread_of: Mapping[MessageId, int]
) -> tuple[LinkDraft, ...]:
    """Each solution to the nearest earlier question or problem of its own thread of talk."""
    index_of = {message.id: index for index, message in enumerate(window.messages)}
    found: list[LinkDraft] = []
    for source, atom in enumerate(atoms):
        if atom.type != "solution":
            continue
        start = index_of[atom.message_ids[0]]
        earlier = [
            (index_of[asked.message_ids[0]], target)
            for target, asked in enumerate(atoms)
            if asked.type in ("question", "problem")
            and index_of[asked.message_ids[0]] < start
            and thread_of[asked.message_ids[0]] == thread_of[atom.message_ids[0]]
        ]
        if earlier:
            found.append(LinkDraft(source, max(earlier)[1], "solves", 0.5))
    return tuple(found)
