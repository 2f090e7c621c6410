"""The default engine: structure proposes, a language model decides what it can decide well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from services.extractor import answers, prompting
from services.extractor.extraction import (
    ATOM_TYPES,
    TITLE_CHARACTERS_MAX,
    AtomDraft,
    AtomType,
    Extraction,
    Model,
    Window,
)
from services.extractor.grounded import Candidate, GroundedEngine, assemble
from services.extractor.titles import tidy

COMBINED_VERSION: Final = "1"

_TOKENS_PER_NOTE: Final = 160
_TOKENS_AROUND: Final = 40

Capability = Literal["none", "choices", "generate"]


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a model's word goes against what structure found.

    A choice must beat the rules by `choice_margin` nats for each unit of their own margin and is
    only asked below `margin_max`; the model may drop what structure holds below `drop_below`.
    """

    choices_max: int = 1
    margin_max: float = 0.5
    choice_margin: float = 1.5
    drop_below: float = 0.6
    support_min: float = 0.5


@dataclass(slots=True)
class Spent:
    """Calls and tokens of one window."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class CombinedEngine:
    """Grounded proposals; a model of some `capability` refines types, wording and selection.

    `none` never calls the model, `choices` asks for a few types, `generate` asks one call a
    window to keep, name and word the proposals. Evidence always comes from structure.
    """

    grounded: GroundedEngine
    model: Model | None = None
    capability: Capability = "none"
    model_name: str = ""
    trust: Trust = field(default_factory=Trust)
    characters_max: int = 3600
    delimiter: Callable[[], str] = prompting.random_delimiter
    name: Literal["combined"] = "combined"
    _unprompted: dict[str, list[float]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def version(self) -> str:
        """Code, prompts, capability and model; without a model only the rules count."""
        base = f"combined-{COMBINED_VERSION}-{self.grounded.version}"
        if self.model is None or self.capability == "none":
            return base
        prompts = prompting.digest("curate", "type")
        return f"{base}-{self.capability}-{prompts}-{self.model_name}"

    async def extract(self, window: Window) -> Extraction:
        """Extract by structure, then let the model refine; its bad answers change nothing."""
        reading = self.grounded.read(window)
        candidates = list(reading.candidates)
        spent = Spent()
        if candidates and self.model is not None:
            if self.capability == "choices":
                candidates = await self._choose_types(self.model, candidates, spent)
            elif self.capability == "generate":
                candidates = await self._curate(self.model, candidates, spent)
        extraction = assemble(reading, candidates)
        return replace(
            extraction,
            model_calls=spent.calls,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
        )

    async def _choose_types(
        self, model: Model, candidates: list[Candidate], spent: Spent
    ) -> list[Candidate]:
        """Ask for the types the rules are least sure of, at most `choices_max` of them."""
        unsure = [c for c in candidates if c.margin < self.trust.margin_max]
        asked = sorted(unsure, key=lambda c: c.margin)[: self.trust.choices_max]
        decided = list(candidates)
        for candidate in asked:
            if await self._prefers_rival(model, candidate, spent):
                draft = replace(candidate.draft, type=candidate.rival)
                decided[candidates.index(candidate)] = replace(candidate, draft=draft)
        return decided

    async def _prefers_rival(self, model: Model, candidate: Candidate, spent: Spent) -> bool:
        """Whether the model, corrected for what it says of no note at all, prefers the rival.

        Contextual calibration after Zhao et al. 2021, "Calibrate Before Use".
        """
        options = [f" {candidate.draft.type}", f" {candidate.rival}"]
        language = prompting.dominant_language([candidate.draft.content])
        note = prompting.one_line(candidate.draft.content, 500)
        empty = prompting.fill("type", language, note="…")
        key = "\0".join((empty, *options))
        if key not in self._unprompted:
            self._unprompted[key] = await _choose(model, empty, options, spent)
        here = await _choose(model, prompting.fill("type", language, note=note), options, spent)
        nowhere = self._unprompted[key]
        gain = (here[1] - nowhere[1]) - (here[0] - nowhere[0])
        return gain > self.trust.choice_margin * (1.0 + candidate.margin)

    async def _curate(
        self, model: Model, candidates: list[Candidate], spent: Spent
    ) -> list[Candidate]:
        """One call over all proposals: what to keep and how to name it."""
        language = prompting.dominant_language(c.draft.content for c in candidates)
        delimiter = self.delimiter()
        cap = prompting.fair_cap([c.draft.content for c in candidates], self.characters_max)
        lines = [_note(number, candidate, cap) for number, candidate in enumerate(candidates, 1)]
        prompt = [
            {"role": "system", "content": prompting.fill("curate", language, delimiter=delimiter)},
            {"role": "user", "content": prompting.fenced(lines, delimiter)},
        ]
        schema = answers.curate_schema(len(candidates))
        tokens_max = _TOKENS_PER_NOTE * len(candidates) + _TOKENS_AROUND
        completion = await model.complete(prompt, schema, tokens_max)
        spent.calls += 1
        spent.tokens_in += completion.tokens_in
        spent.tokens_out += completion.tokens_out
        try:
            notes = answers.parse(completion.text, "notes")["notes"]
        except answers.BadAnswer:
            return candidates
        return self._apply(candidates, notes)

    def _apply(
        self, candidates: Sequence[Candidate], notes: Sequence[dict[str, Any]]
    ) -> list[Candidate]:
        """The proposals as the model would have them, where structure lets it."""
        decisions: dict[int, dict[str, Any]] = {}
        for note in notes:
            number = note.get("n")
            if type(number) is int:
                decisions.setdefault(number, note)
        kept: list[Candidate] = []
        for number, candidate in enumerate(candidates, 1):
            decision = decisions.get(number)
            if decision is None:
                kept.append(candidate)
            elif decision.get("worth") != 0 or self._insists(candidate):
                kept.append(self._reworded(candidate, decision))
        return kept

    def _insists(self, candidate: Candidate) -> bool:
        return candidate.draft.confidence >= self.trust.drop_below

    def _reworded(self, candidate: Candidate, decision: dict[str, Any]) -> Candidate:
        """A proposal with the model's type and words, each only where it stands up."""
        draft = candidate.draft
        title, content = decision.get("title"), decision.get("content")
        if self._is_supported(title, candidate, TITLE_CHARACTERS_MAX):
            draft = replace(draft, title=tidy(str(title)))
        if self._is_supported(content, candidate, 2 * answers.CONTENT_CHARACTERS_MAX):
            draft = replace(draft, content=tidy(str(content)))
        return replace(candidate, draft=replace(draft, type=_type(decision, candidate)))

    def _is_supported(self, text: Any, candidate: Candidate, characters_max: int) -> bool:
        if not isinstance(text, str) or not 0 < len(tidy(text)) <= characters_max:
            return False
        proposal = candidate.proposal
        asked = proposal.answers.utterances if proposal.answers else []
        sources = [utterance.message for utterance in [*proposal.utterances, *asked]]
        return answers.support(text, sources) >= self.trust.support_min


async def _choose(model: Model, prompt: str, options: list[str], spent: Spent) -> list[float]:
    """Ask for a choice and count what it costs: the prompt is read once, no token is written."""
    spent.calls += 1
    spent.tokens_in += model.count_tokens(prompt)
    return await model.choose(prompt, options)


def _type(decision: dict[str, Any], candidate: Candidate) -> AtomType:
    """The model's type where the rules were unsure or it names their second choice."""
    named = next((kind for kind in ATOM_TYPES if kind == decision.get("type")), None)
    if named is None or not (candidate.margin < 1.0 or named == candidate.rival):
        return candidate.draft.type
    return named


def _note(number: int, candidate: Candidate, characters_max: int) -> str:
    draft: AtomDraft = candidate.draft
    return f"[{number}] {draft.type}: {prompting.one_line(draft.content, characters_max)}"
