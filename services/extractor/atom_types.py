"""What kind of knowledge a group of utterances is: a few weighed cues, no model."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from services.extractor import cues
from services.extractor.extraction import ATOM_TYPES, AtomType
from services.extractor.titles import polish, sentences
from services.extractor.utterances import Utterance

_FACT_WEIGHT: Final = 1.4
_LABELLED_WEIGHT: Final = 4.0

Role = Literal["raised", "reply", "remark", "statement", "report"]

_PRIOR: Final[Mapping[Role, Mapping[AtomType, float]]] = {
    "raised": {"question": 0.6, "problem": 0.4},
    "reply": {"solution": 2.0, "insight": 0.9},
    "remark": {"insight": 1.6, "solution": 0.8, "decision": 0.2, "problem": 0.2},
    "statement": {"insight": 1.4, "problem": 0.2, "decision": 0.2},
    "report": {"problem": 0.6, "requirement": 0.7},
}


def weigh(
    utterances: Sequence[Utterance], role: Role, asked: Sequence[Utterance] = ()
) -> dict[AtomType, float]:
    """Weight of every type the role allows, given what was `asked`; the heaviest is the answer."""
    text = " \n ".join(utterance.body for utterance in utterances)
    asks = any(u.is_question or u.is_asking for u in utterances)
    if role == "raised" and not asks and not cues.PROBLEM.search(text):
        role = "statement"
    weights = dict(_PRIOR[role])
    for kind, weight in _cue_weights(text, utterances).items():
        if kind in weights or role in ("statement", "raised", "remark") or weight >= 2.0:
            weights[kind] = weights.get(kind, 0.0) + weight
    if role == "raised" and not asks:
        weights["problem"] += 1.0
    if role == "reply" and _asks_a_fact(asked) and not cues.ADVICE.search(text):
        weights["insight"] += _FACT_WEIGHT
    said = [cues.labelled_as(utterance.body) for utterance in utterances]
    for kind in ATOM_TYPES:
        if kind in said:
            weights[kind] = weights.get(kind, 0.0) + _LABELLED_WEIGHT
    if role == "raised":
        for kind in ("solution", "insight"):
            weights.pop(kind, None)
    return weights


def _asks_a_fact(asked: Sequence[Utterance]) -> bool:
    """Whether the last question is one for yes or no, not for a way or for help: its answer is a fact."""
    questions = [utterance for utterance in asked if utterance.is_question]
    if not questions:
        return False
    body = polish(sentences(questions[-1].body)[-1] if sentences(questions[-1].body) else "")
    return bool(cues.YES_OR_NO.match(body)) and not cues.WAY.search(body)


def _cue_weights(text: str, utterances: Sequence[Utterance]) -> dict[AtomType, float]:
    asked = sum(utterance.is_question or utterance.is_asking for utterance in utterances)
    return {
        "question": 1.2 * min(asked, 1) + 0.2 * min(asked, 2),
        "problem": 0.9 * min(cues.count(cues.PROBLEM, text), 3),
        "solution": 0.4 * min(cues.count(cues.ADVICE, text), 2),
        "decision": 1.3 * min(cues.count(cues.DECISION, text), 2)
        + 1.2 * min(cues.count(cues.SETTLED, text), 1)
        + 1.6 * cues.commits(text),
        "requirement": 0.7 * min(cues.count(cues.REQUIREMENT, text), 2),
        "idea": 1.0 * min(cues.count(cues.IDEA, text), 2) + 1.6 * _suggests(text),
        "risk": 1.0 * min(cues.count(cues.RISK, text), 2),
        "blocker": 2.2 * min(cues.count(cues.BLOCKER, text), 1),
        "pattern": 1.0 * min(cues.count(cues.PATTERN, text), 1),
    }


def _suggests(text: str) -> bool:
    """Whether a sentence begins by proposing something to all."""
    return any(cues.SUGGESTED.match(polish(sentence)) for sentence in sentences(text))


def choose(weights: Mapping[AtomType, float]) -> tuple[AtomType, AtomType]:
    """The heaviest type and its nearest rival."""
    ranked = sorted(weights, key=lambda kind: -weights[kind])
    return ranked[0], ranked[1] if len(ranked) > 1 else ranked[0]
