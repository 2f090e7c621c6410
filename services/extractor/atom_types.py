"""What kind of knowledge a group of utterances is: a few weighed cues, no model."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from services.extractor import cues, labels
from services.extractor.extraction import ATOM_TYPES, AtomType
from services.extractor.titles import polish, sentences
from services.extractor.utterances import Utterance, is_question

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
_TOLD: Final[Mapping[AtomType, float]] = {"insight": 2.0, "solution": 0.9, "decision": 0.2}


def weigh(
    utterances: Sequence[Utterance], role: Role, asked: Sequence[Utterance] = ()
) -> dict[AtomType, float]:
    """Weight of every type the role allows, given what was `asked`; the heaviest is the answer."""
    text = " \n ".join(utterance.body for utterance in utterances)
    asks = any(map(_asks, utterances))
    if role == "raised" and not asks and not cues.PROBLEM.search(text):
        role = "statement"
    is_told = role == "reply" and _wants_no_way(asked) and not cues.ADVICE.search(text)
    weights = dict(_TOLD if is_told else _PRIOR[role])
    for kind, weight in _cue_weights(text, utterances).items():
        if kind in weights or role in ("statement", "raised", "remark") or weight >= 2.0:
            weights[kind] = weights.get(kind, 0.0) + weight
    if role == "raised" and not asks:
        weights["problem"] += 1.0
    if role == "reply" and _asks_a_fact(asked) and not cues.ADVICE.search(text):
        weights["insight"] += _FACT_WEIGHT
    said = [labels.labelled_as(utterance.body) for utterance in utterances]
    for kind in ATOM_TYPES:
        if kind in said:
            weights[kind] = weights.get(kind, 0.0) + _LABELLED_WEIGHT
    if role == "raised":
        for kind in ("solution", "insight"):
            weights.pop(kind, None)
    return weights


def _asks(utterance: Utterance) -> bool:
    """Whether someone asks, and does not first say what is going to be done: "We keep it. Ann, can you by Friday?"."""
    first, *others = sentences(utterance.body) or [""]
    decides = bool(others) and bool(cues.DECIDING.search(first)) and not is_question(first)
    return (utterance.is_question or utterance.is_asking) and not decides


def _wants_no_way(asked: Sequence[Utterance]) -> bool:
    """Whether something was said before a reply, but nothing failed and neither a way nor help was asked for."""
    text = " \n ".join(utterance.body for utterance in asked)
    wanted = (cues.PROBLEM, cues.WAY, cues.ASKING)
    return bool(asked) and not any(pattern.search(text) for pattern in wanted)


def _asks_a_fact(asked: Sequence[Utterance]) -> bool:
    """Whether the last question is one for yes or no, for who, when or how much, not for a way or for help."""
    questions = [utterance for utterance in asked if utterance.is_question]
    if not questions:
        return False
    body = polish(sentences(questions[-1].body)[-1] if sentences(questions[-1].body) else "")
    if cues.FACT.match(body) or cues.TAG.search(body):
        return True
    return bool(cues.YES_OR_NO.match(body)) and not cues.WAY.search(body)


def _cue_weights(text: str, utterances: Sequence[Utterance]) -> dict[AtomType, float]:
    asked = sum(map(_asks, utterances))
    return {
        "question": 1.2 * min(asked, 1) + 0.2 * min(asked, 2),
        "problem": 0.9 * min(cues.count(cues.PROBLEM, text), 3),
        "solution": 0.4 * min(cues.count(cues.ADVICE, text), 2),
        "decision": 1.3 * min(cues.count(cues.DECISION, text) + cues.count(cues.PLANNED, text), 2)
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


def heaviest(weights: Mapping[AtomType, float]) -> AtomType:
    """The heaviest type; of equal ones the first."""
    return max(weights, key=lambda kind: weights[kind])
