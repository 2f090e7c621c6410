"""The default engine: structure finds the atoms, a language model judges or names a few of them.

The model sees one note at a time, so that what one message says can change nothing about another's note.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from services.common.errors import ItemFailed
from services.extractor import answers, polarity, prompting
from services.extractor.extraction import (
    AtomType,
    Extraction,
    Model,
    Rejection,
    Window,
    WindowMessage,
)
from services.extractor.grounded import Candidate, GroundedEngine, assemble
from services.extractor.titles import is_thin, polish, shorten

COMBINED_VERSION: Final = "3"
KNOWLEDGE: Final = " knowledge"
CHATTER: Final = " chatter"
EMPTY_NOTE: Final = "…"

Capability = Literal["none", "choices", "generate"]

HEADLINE_TOKENS_MAX: Final = 60
# What a title ends with, or is joined at, where it did not fit.
CUT: Final = "…"
_NOTE_CHARACTERS_MAX: Final = 500
_OWN_SUPPORT_MIN: Final = 0.4


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a model's word goes against what structure found.

    It is asked at most `calls_per_message` times a message of the window, and once in any window. It may
    drop what structure holds below `drop_below` when it finds it `drop_margin` nats likelier to be chatter
    than it finds a note that says nothing.
    """

    calls_per_message: float = 0.1
    drop_below: float = 0.62
    drop_margin: float = 1.0


@dataclass(slots=True)
class Spent:
    """Calls and tokens of one window, and what was refused of the answers."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    rejected: dict[Rejection, int] = field(default_factory=dict)

    def refuse(self, reason: Rejection) -> None:
        """Count an answer that changes nothing."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class CombinedEngine:
    """Grounded proposals; a model of some `capability` judges or names those that need it most.

    `none` never calls the model; with `choices` it tells knowledge from chatter among the least sure;
    with `generate` it writes headlines where people's own words had to be cut off. Evidence, types and
    contents always come from structure.
    """

    grounded: GroundedEngine
    model: Model | None = None
    capability: Capability = "none"
    model_name: str = ""
    trust: Trust = field(default_factory=Trust)
    name: Literal["combined"] = "combined"
    _unprompted: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def version(self) -> str:
        """Code, prompts, capability and model; without a model only the rules count."""
        base = f"combined-{COMBINED_VERSION}-{self.grounded.version}"
        if self.model is None or self.capability == "none":
            return base
        prompts = prompting.digest("headline", "kind")
        checks = answers.CHECKS_VERSION if self.capability == "generate" else ""
        return f"{base}-{self.capability}{checks}-{prompts}-{self.model_name}"

    async def extract(self, window: Window) -> Extraction:
        """Extract by structure, then let the model refine; its bad answers change nothing."""
        reading = await asyncio.to_thread(self.grounded.read, window)
        candidates: list[Candidate | None] = list(reading.candidates)
        spent = Spent()
        budget = max(1, int(self.trust.calls_per_message * len(window.own)))
        if candidates and self.model is not None and self.capability != "none":
            chosen = self._doubtful if self.capability == "choices" else _cut_off
            for position in chosen(reading.candidates)[:budget]:
                candidate = reading.candidates[position]
                candidates[position] = await self._refined(self.model, candidate, spent)
        kept = [candidate for candidate in candidates if candidate is not None]
        extraction = await asyncio.to_thread(assemble, reading, kept)
        return replace(
            extraction,
            model_calls=spent.calls,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            rejected=spent.rejected,
        )

    async def _refined(self, model: Model, candidate: Candidate, spent: Spent) -> Candidate | None:
        """What the model leaves of a candidate; a call that fails on it leaves it as it was."""
        try:
            if self.capability == "choices":
                is_chatter = await self._is_chatter(model, candidate, spent)
                return None if is_chatter else candidate
            return await self._named(model, candidate, spent)
        except ItemFailed:
            spent.refuse("no_answer")
            return candidate

    def _doubtful(self, candidates: Sequence[Candidate]) -> list[int]:
        """Positions of what structure is least sure of, and may lose, the least sure first."""
        unsure = [n for n, c in enumerate(candidates) if c.draft.confidence < self.trust.drop_below]
        return sorted(unsure, key=lambda n: candidates[n].draft.confidence)

    async def _is_chatter(self, model: Model, candidate: Candidate, spent: Spent) -> bool:
        """Whether the model, corrected for what it says of no note at all, finds nothing worth keeping.

        Contextual calibration after Zhao et al. 2021, "Calibrate Before Use".
        """
        note = prompting.one_line(candidate.draft.content, _NOTE_CHARACTERS_MAX)
        language = prompting.dominant_language([note])
        if language not in self._unprompted:
            self._unprompted[language] = await lean_to_chatter(model, EMPTY_NOTE, language, spent)
        leaning = await lean_to_chatter(model, note, language, spent)
        return leaning - self._unprompted[language] > self.trust.drop_margin

    async def _named(self, model: Model, candidate: Candidate, spent: Spent) -> Candidate:
        """The candidate under the model's headline, where that stands up against the messages."""
        spent.calls += 1
        content = candidate.draft.content
        completion = await model.complete(
            headline_prompt(content, candidate.draft.type),
            answers.headline_schema(),
            HEADLINE_TOKENS_MAX,
        )
        spent.tokens_in += completion.tokens_in
        spent.tokens_out += completion.tokens_out
        try:
            headline = answers.headline_of(completion.text)
        except answers.BadAnswer:
            spent.refuse("no_answer")
            return candidate
        proposal = candidate.proposal
        own = [utterance.message for utterance in proposal.utterances]
        answered = proposal.answers.utterances if proposal.answers else ()
        if not stands(headline, own, [utterance.message for utterance in answered]):
            spent.refuse("unsupported")
            return candidate
        title = shorten(polish(headline))
        if candidate.draft.type == "question" and not title.endswith(("?", CUT)):
            title = f"{title}?"
        return replace(candidate, draft=replace(candidate.draft, title=title))


def stands(
    headline: str, own: Sequence[WindowMessage], asked: Sequence[WindowMessage] = ()
) -> bool:
    """Whether a headline says enough, and is told, not denied, by a note's messages, with the question they answer.

    Each of its words that carries meaning must stand there.
    """
    told = [*own, *asked]
    return (
        not is_thin(headline)
        and answers.is_supported(headline, told)
        and not answers.unsaid(headline, told)
        and answers.support(headline, own) >= _OWN_SUPPORT_MIN
        and not polarity.contradicts(headline, [message.text for message in told])
    )


def _cut_off(candidates: Sequence[Candidate]) -> list[int]:
    """Positions of notes whose titles had to be cut off: first what answers nothing.

    Small models put what was asked into the headlines of answers, which are refused then, and what they make of a
    title that is whole is worse as often as it is better.
    """
    cut = (n for n, candidate in enumerate(candidates) if CUT in candidate.draft.title)
    return sorted(cut, key=lambda n: candidates[n].proposal.answers is not None)


def headline_prompt(content: str, kind: AtomType) -> list[dict[str, str]]:
    """The chat that asks for the headline of one note, after some that were answered well."""
    note = prompting.one_line(content, _NOTE_CHARACTERS_MAX)
    asked, *answered = prompting.blocks("headline", prompting.dominant_language([note]))
    chat = [{"role": "system", "content": asked}]
    for example in answered:
        told, headline = example.split("\n")
        chat.append({"role": "user", "content": told})
        chat.append({"role": "assistant", "content": answers.headline_answer(headline)})
    return [*chat, {"role": "user", "content": f"[{kind}] {note}"}]


async def lean_to_chatter(
    model: Model, note: str, language: prompting.Language, spent: Spent
) -> float:
    """By how many nats the model finds a note likelier to be chatter than knowledge."""
    prompt = prompting.fill("kind", language, note=note)
    spent.calls += 1
    spent.tokens_in += model.count_tokens(prompt)
    knowledge, chatter = await model.choose(prompt, [KNOWLEDGE, CHATTER])
    return chatter - knowledge
