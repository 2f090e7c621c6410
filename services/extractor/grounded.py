"""The engine that needs no language model: structure finds the atoms, people's words tell them."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, pstdev
from typing import Final, Literal

from services.extractor import atom_types, cues, titles, verdicts
from services.extractor.atom_types import Role
from services.extractor.extraction import (
    AtomDraft,
    AtomType,
    Evidence,
    Extraction,
    LinkDraft,
    LinkType,
    Window,
    WindowMessage,
)
from services.extractor.proposals import Proposal, propose
from services.extractor.rounds import rounds
from services.extractor.selection import Selection
from services.extractor.structure import Weights, parents, threads
from services.extractor.topics import topics
from services.extractor.utterances import Utterance, idf, people, read

GROUNDED_VERSION: Final = "18"

_ASKED_CHARACTERS_MAX: Final = 300
# How sure structure is of a piece of talk by its role alone: of what others asked for or took up more than of the rest.
_CONFIDENCES: Final[Mapping[Role, float]] = {
    "raised": 0.5, "reply": 0.55, "verdict": 0.55, "remark": 0.5, "statement": 0.35, "report": 0.3,
}  # fmt: skip
# What each unit of weight (about a word that carries meaning) adds to that, up to how many, and the surest there is.
_SURER_BY: Final = 0.02
_SURER_UNITS_MAX: Final = 15.0
_CONFIDENCE_MAX: Final = 0.95
# How sure a link is: what was answered, structure knows; that a later piece carries an earlier one on is a guess.
_ANSWERS_CONFIDENCE: Final = 0.7
_CONTINUES_CONFIDENCE: Final = 0.5
# How many spreads above the usual one of its window a similarity counts from, and how many more it takes in full.
_SPREADS_MIN: Final = 1.0
_SPREADS_TO_FULL: Final = 2.0

# What the sentence has that titles an atom of a type.
_MARKS: Final[Mapping[AtomType, re.Pattern[str]]] = {
    "decision": cues.DECIDED,
    "idea": cues.PROPOSED,
    "requirement": cues.REQUIRED,
    "risk": cues.FEARED,
}

SentenceSimilarity = Callable[[Sequence[str]], Sequence[Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A drafted atom with the proposal it came from."""

    proposal: Proposal
    draft: AtomDraft


@dataclass(frozen=True, slots=True)
class Reading:
    """A window as structure sees it: utterances, what each continues, and proposed atoms."""

    utterances: tuple[Utterance, ...]
    parent_of: tuple[int | None, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class GroundedEngine:
    """Extracts without a language model; `similarity` gives cosines of sentences where known."""

    similarity: SentenceSimilarity | None = None
    weights: Weights = field(default_factory=Weights)
    selection: Selection = field(default_factory=Selection)
    name: Literal["grounded"] = "grounded"

    @property
    def version(self) -> str:
        """The rules' version, and whether meaning was used besides structure."""
        return f"grounded-{GROUNDED_VERSION}{'+vectors' if self.similarity else ''}"

    async def extract(self, window: Window) -> Extraction:
        """Read a window by its structure alone, in a thread: long messages take seconds. Never calls a model."""
        return await asyncio.to_thread(self._extracted, window)

    def _extracted(self, window: Window) -> Extraction:
        reading = self.read(window)
        return assemble(reading, reading.candidates)

    def read(self, window: Window) -> Reading:
        """The window's structure and the atoms proposed for it, in order of first message."""
        utterances = read(window.messages, window.context)
        parent_of = self._parents(utterances)
        rarity = idf(utterances)
        proposals = propose(rounds(utterances, parent_of), utterances, self.selection)
        proofs = tuple(map(_proof, window.messages))
        candidates = tuple(_candidate(proposal, rarity, proofs) for proposal in proposals)
        return Reading(tuple(utterances), tuple(parent_of), candidates)

    def _parents(self, utterances: Sequence[Utterance]) -> list[int | None]:
        if self.similarity is None or not utterances:
            return parents(utterances, self.weights)
        close = standing_out(self.similarity([utterance.body for utterance in utterances]))
        return parents(utterances, self.weights, lambda one, other: close[one][other])


def assemble(reading: Reading, candidates: Sequence[Candidate]) -> Extraction:
    """The extraction that these of a reading's candidates make, with its topics and links."""
    if not candidates:
        return Extraction()
    atoms = tuple(candidate.draft for candidate in candidates)
    grouped = threads(reading.utterances, reading.parent_of)
    found = topics(grouped, atoms, people(reading.utterances))
    return Extraction(found, atoms, links(candidates), "ok")


def standing_out(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Similarities of a window as 0..1: how far above its usual one, since models differ."""
    others = [value for i, row in enumerate(matrix) for j, value in enumerate(row) if i != j]
    if len(others) < 2:
        return [[0.0] * len(row) for row in matrix]
    usual, spread = mean(others), pstdev(others) or 1.0
    return [
        [min(1.0, max(0.0, (x - usual) / spread - _SPREADS_MIN) / _SPREADS_TO_FULL) for x in row]
        for row in matrix
    ]


def _candidate(
    proposal: Proposal, rarity: Callable[[str], float], proofs: Sequence[Evidence]
) -> Candidate:
    own = [utterance for utterance in proposal.utterances if not utterance.is_context]
    asked = proposal.answers
    weights = atom_types.weigh(own, proposal.role, proposal.heard, proposal.is_troubled)
    kind = atom_types.heaviest(weights)
    whole = _asked(asked, rarity) if asked else ""
    told = [utterance for utterance in own if utterance not in proposal.heard]
    if told and len(told) < len(own) and not proposal.settling:
        return _told(proposal, own, told, rarity, proofs)
    about = titles.shorten(whole)
    if proposal.settling:
        return _settled(proposal, own, rarity, proofs)
    asking = kind in ("question", "problem")
    mark = _MARKS.get(kind)
    draft = AtomDraft(
        kind,
        (titles.question_title(own) if kind == "question" else "")
        or titles.title(
            own, rarity, asking, about, mark, answering=asked is not None and not asking
        ),
        titles.content(own, whole),
        tuple(proofs[utterance.index] for utterance in own),
        _confidence(proposal),
    )
    return Candidate(proposal, draft)


def _told(
    proposal: Proposal,
    own: Sequence[Utterance],
    told: Sequence[Utterance],
    rarity: Callable[[str], float],
    proofs: Sequence[Evidence],
) -> Candidate:
    """A question and what was told to it in few words, titled by both."""
    asked = [utterance for utterance in own if utterance not in told]
    about = titles.question_title(asked) or titles.title(asked, rarity, asking=True)
    draft = AtomDraft(
        atom_types.heaviest(atom_types.weigh(told, proposal.role, proposal.heard)),
        titles.settled_title(told, about),
        titles.content(own),
        tuple(proofs[utterance.index] for utterance in own),
        _confidence(proposal),
    )
    return Candidate(proposal, draft)


def _settled(
    proposal: Proposal,
    own: Sequence[Utterance],
    rarity: Callable[[str], float],
    proofs: Sequence[Evidence],
) -> Candidate:
    """What was settled, titled by who settled it and by what it settles."""
    weights = atom_types.weigh(own, proposal.role, proposal.heard)
    weighed = [u for u in proposal.heard if verdicts.waits(u.body)] or proposal.heard[:1]
    about = titles.question_title(weighed[-1:]) or titles.title(weighed[-1:], rarity, asking=True)
    draft = AtomDraft(
        atom_types.heaviest(weights),
        titles.settled_title(proposal.settling, about),
        titles.content(own, "" if weighed[-1] in own else about),
        tuple(proofs[utterance.index] for utterance in own),
        _confidence(proposal),
    )
    return Candidate(proposal, draft)


def _asked(proposal: Proposal, rarity: Callable[[str], float]) -> str:
    """What a proposal asks, at length."""
    kind = atom_types.heaviest(atom_types.weigh(proposal.utterances, proposal.role))
    question = (
        titles.question_title(proposal.utterances, _ASKED_CHARACTERS_MAX)
        if kind == "question"
        else ""
    )
    return question or titles.title(
        proposal.utterances, rarity, asking=True, characters_max=_ASKED_CHARACTERS_MAX
    )


def _proof(message: WindowMessage) -> Evidence:
    """The whole message as its own proof, as it is stored, without the space around it."""
    text = message.text
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return Evidence(message.id, text[start:end], start, end)


def _confidence(proposal: Proposal) -> float:
    """How sure structure is: more said is surer, and a reply surer than what nobody asked for."""
    base = _CONFIDENCES[proposal.role]
    said = _SURER_BY * min(proposal.weight, _SURER_UNITS_MAX)
    return round(min(_CONFIDENCE_MAX, base + said), 3)


def links(candidates: Sequence[Candidate]) -> tuple[LinkDraft, ...]:
    """Links the structure shows: answers, objections, and what carries a matter on."""
    position = {id(candidate.proposal): i for i, candidate in enumerate(candidates)}
    found: list[LinkDraft] = []
    for index, candidate in enumerate(candidates):
        proposal = candidate.proposal
        answered = position.get(id(proposal.answers))
        continued = position.get(id(proposal.continues))
        if answered is not None:
            link = _answer_link(candidate.draft.type)
            found.append(LinkDraft(index, answered, link, _ANSWERS_CONFIDENCE))
        if continued is not None:
            kind: LinkType = "contradicts" if proposal.contradicts else "relates_to"
            found.append(LinkDraft(index, continued, kind, _CONTINUES_CONFIDENCE))
    return tuple(found)


def _answer_link(kind: AtomType) -> LinkType:
    return "solves" if kind == "solution" else "relates_to"
