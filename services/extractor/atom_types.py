"""What kind of knowledge a group of utterances is: a few weighed cues, no model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.extractor import (
    cues,
    labels,
    mishaps,
    slavic_events,
    stakes,
    stances,
    trouble,
    verdicts,
)
from services.extractor.extraction import ATOM_TYPES, AtomType
from services.extractor.titles import polish, sentences
from services.extractor.utterances import Utterance, is_question

# What answers a question of fact, or tells why something came about.
_FACT_WEIGHT: Final = 1.4
# Who concludes from what was said ("then we …") decides.
_CONCLUDED_WEIGHT: Final = 1.4
# What somebody does or did about trouble that was told.
_HEALED_WEIGHT: Final = 1.6
# What answers a question of what to do.
_DELIBERATED_WEIGHT: Final = 2.4
# What somebody says they will do, where there was no trouble.
_UNDERTAKEN_WEIGHT: Final = 1.3
# A text that names its own kind ("Risk: …").
_LABELLED_WEIGHT: Final = 4.0
# What others take for trouble, though no word of it tells so.
_TROUBLED_WEIGHT: Final = 1.4
# What somebody has found out.
_LEARNT_WEIGHT: Final = 1.4
# Who raises a matter and asks nothing has trouble.
_RAISED_WEIGHT: Final = 1.0
# What a kind must weigh to be one that an answer may be of.
_REPLY_LEAST: Final[Mapping[AtomType, float]] = {"requirement": 1.5, "risk": 1.5}
_REPLY_LEAST_USUAL: Final = 2.0

_AFTER_COLON: Final = re.compile(r"[:—–]\s+")

Role = Literal["raised", "reply", "verdict", "remark", "statement", "report"]


@dataclass(frozen=True, slots=True)
class _Cues:
    """What each cue in people's words counts for its kind; `…s_max` is how many of one kind count at most."""

    asks: float = 1.2
    asks_again: float = 0.2
    asked_max: int = 2
    trouble: float = 0.9
    troubles_max: int = 3
    shared_trouble: float = 2.0
    failure: float = 0.8
    advice: float = 0.4
    advices_max: int = 2
    meanwhile: float = 1.4
    instruction: float = 2.4
    decides: float = 1.3
    decides_max: int = 2
    settled: float = 1.2
    commits: float = 1.6
    requires: float = 0.7
    requires_max: int = 2
    rule: float = 1.6
    several_rules: float = 0.8
    planned_by_rule: float = 1.3
    idea: float = 1.0
    ideas_max: int = 2
    proposal: float = 2.4
    risk: float = 1.0
    risks_max: int = 2
    warning: float = 1.6
    loss: float = 0.8
    blocker: float = 2.2
    held_up: float = 2.4
    pattern: float = 1.0
    recurs: float = 2.4


_CUES: Final = _Cues()
# What a kind weighs by the role of what is said alone; a kind that is not there needs cues of its own.
_PRIOR: Final[Mapping[Role, Mapping[AtomType, float]]] = {
    "raised": {"question": 0.6, "problem": 0.4},
    "reply": {"solution": 2.0, "insight": 0.9},
    "verdict": {"decision": 3.0, "insight": 0.9},
    "remark": {"insight": 1.6, "solution": 0.8, "decision": 0.2, "problem": 0.2},
    "statement": {"insight": 1.4, "problem": 0.2, "decision": 0.2},
    "report": {"problem": 0.6, "requirement": 0.7},
}
# The same of an answer to who wanted neither a way nor help.
_TOLD: Final[Mapping[AtomType, float]] = {"insight": 2.0, "solution": 0.9, "decision": 0.2}


def weigh(
    utterances: Sequence[Utterance],
    role: Role,
    asked: Sequence[Utterance] = (),
    is_troubled: bool = False,
) -> dict[AtomType, float]:
    """Weight of every type the role allows, given what was `asked` and `is_troubled`; the heaviest is the answer."""
    text = " \n ".join(utterance.body for utterance in utterances)
    asks = any(map(_asks, utterances))
    learnt = bool(slavic_events.LEARNT.match(text))
    is_known = learnt or not cues.PROBLEM.search(text) or any(map(_instructs, sentences(text)))
    if role == "raised" and not asks and is_known:
        role = "statement"
    is_told = _wants_no_way(asked) and not cues.ADVICE.search(text)
    is_told = role == "reply" and not is_troubled and (is_told or _is_suggested(asked))
    weights = dict(_TOLD if is_told else _PRIOR[role])
    if is_told and cues.PLANNED.search(text):
        weights = dict(_PRIOR["statement"]) | {"solution": 0.9}
    for kind, weight in _cue_weights(text, utterances, role).items():
        least = _REPLY_LEAST.get(kind, _REPLY_LEAST_USUAL)
        if kind in weights or role in ("statement", "raised", "remark") or weight >= least:
            weights[kind] = weights.get(kind, 0.0) + weight
    is_other = stakes.RULE.search(text) or stakes.WARNING.search(text) or verdicts.proposes(text)
    is_other = (
        is_other or learnt or cues.SETTLED.search(text) or any(map(_is_no_trouble, sentences(text)))
    )
    is_other = is_other or stances.holds_up(text)
    if role == "raised" and not asks and not is_other:
        weights["problem"] += _RAISED_WEIGHT
    if is_troubled and role in ("statement", "raised") and not (asks or is_other):
        weights["problem"] += _TROUBLED_WEIGHT
    for kind, weight in _weights_in_talk(text, utterances, role, asked).items():
        weights[kind] = weights.get(kind, 0.0) + weight
    if weights.get("solution", 0.0) and role == "statement" and _heals(text, asked):
        weights.pop("problem", None)
    said = [labels.labelled_as(utterance.body) for utterance in utterances]
    for kind in ATOM_TYPES:
        if kind in said:
            weights[kind] = weights.get(kind, 0.0) + _LABELLED_WEIGHT
    if role == "raised":
        for kind in ("solution", "insight"):
            weights.pop(kind, None)
    return weights


def _is_no_trouble(sentence: str) -> bool:
    """Whether a sentence that may name trouble threatens with it, rules it out, or tells that it recurs."""
    return _threatens(sentence) or stances.recurs(sentence) or stances.rules(sentence)


def _asks(utterance: Utterance) -> bool:
    """Whether someone asks, and does not first say what is going to be done: "We keep it. Ann, can you by Friday?"."""
    if utterance.fails and not _asks_more(utterance.body):
        return False
    first, *others = sentences(utterance.body) or [""]
    decides = bool(others) and bool(cues.DECIDING.search(first)) and not is_question(first)
    return utterance.asks and not decides


def _asks_more(text: str) -> bool:
    """Whether a text asks more than for any help there is: "any ideas?" asks nothing."""
    rest = stakes.HELP_WANTED.sub(" ", text)
    return rest == text or is_question(rest) or bool(cues.ASKING.search(rest))


def _weights_in_talk(
    text: str, utterances: Sequence[Utterance], role: Role, asked: Sequence[Utterance]
) -> dict[AtomType, float]:
    """What counts for types beside people's words: what was asked or told before, and how it is taken up."""
    found: dict[AtomType, float] = {}
    first = utterances[0].body
    concludes = stakes.CONCLUDING.match(first) and not cues.ADVICE.search(first)
    concludes = concludes and not cues.PROBLEM.search(first)
    if role == "statement" and concludes:
        found["decision"] = _CONCLUDED_WEIGHT
    if slavic_events.LEARNT.match(first):
        found["insight"] = _LEARNT_WEIGHT
    if role in ("statement", "reply") and _heals(text, asked):
        found["solution"] = _HEALED_WEIGHT
    elif role != "raised" and stakes.WILL_DO.search(text):
        found["decision"] = found.get("decision", 0.0) + _UNDERTAKEN_WEIGHT
    if role != "reply":
        return found
    if _deliberates(asked) or (_is_suggested(asked) and stakes.UNDERTAKEN.search(text)):
        return found | {"decision": _DELIBERATED_WEIGHT}
    before = [each for each in asked if each.index < utterances[0].index]
    is_fact = (asks_a_fact(asked) or _asks_plainly(before)) and not stakes.RULE.search(text)
    if (is_fact or _says_whether(first, before)) and not cues.ADVICE.search(text):
        found["insight"] = _FACT_WEIGHT
    is_diagnosis = any(utterance.addressee for utterance in utterances)
    if not is_diagnosis and _finds_cause(text):
        failed = any(utterance.puzzles for utterance in asked)
        kind: AtomType = "problem" if asked and not failed and _fails(text) else "insight"
        found[kind] = found.get(kind, 0.0) + _FACT_WEIGHT
    return found


def _heals(text: str, asked: Sequence[Utterance]) -> bool:
    """Whether somebody says what they do or did about trouble, neither why it came nor what was settled."""
    fails = any(utterance.fails for utterance in asked)
    does = any(deed.search(text) for deed in (stakes.UNDERTAKEN, cues.REMEDIED))
    does = does or cues.commits(text)
    did = None if does else slavic_events.DID.search(text)
    does = does or (did is not None and not cues.PROBLEM.search(did.group()))
    settles = cues.SETTLED.search(text) or stakes.CAUSE.search(text)
    return fails and bool(does) and not settles


def _deliberates(asked: Sequence[Utterance]) -> bool:
    """Whether the last question is one of what to do, to all, not whether it is so, and nothing failed."""
    questions = [utterance.body for utterance in asked if utterance.is_question]
    if not questions or cues.TAG.search(questions[-1]):
        return False
    if stances.asks_who_knows(questions[-1]):
        return False
    fails = any(utterance.fails for utterance in asked)
    return not fails and bool(cues.DELIBERATED.search(questions[-1]))


def _is_suggested(asked: Sequence[Utterance]) -> bool:
    """Whether what was said last before proposes something to all."""
    return bool(asked) and verdicts.proposes(asked[-1].body)


def _finds_cause(text: str) -> bool:
    """Whether a reply tells why something came about, and neither what to do nor what was done about it."""
    if any(cue.search(text) for cue in (cues.ADVICE, stakes.UNDERTAKEN, cues.DECIDED)):
        return False
    fails = cues.PROBLEM.search(text) and not cues.REMEDIED.search(text)
    return bool(fails or stakes.CAUSE.search(text))


def _wants_no_way(asked: Sequence[Utterance]) -> bool:
    """Whether something was said before a reply, but nothing failed and neither a way nor help was asked for."""
    text = " \n ".join(utterance.body for utterance in asked)
    wanted = (cues.PROBLEM, cues.WAY, cues.ASKING)
    return bool(asked) and not any(pattern.search(text) for pattern in wanted)


def asks_a_fact(asked: Sequence[Utterance]) -> bool:
    """Whether the last question is one for yes or no, for who, when or how much, not for a way or for help."""
    questions = [utterance for utterance in asked if utterance.is_question]
    if not questions:
        return False
    said = sentences(questions[-1].body) or [""]
    body = polish(next((each for each in reversed(said) if is_question(each)), said[-1]))
    if cues.FACT.match(body) or cues.TAG.search(body):
        return True
    return bool(cues.YES_OR_NO.match(body)) and not cues.WAY.search(body)


def _asks_plainly(asked: Sequence[Utterance]) -> bool:
    """The same of Ukrainian and Russian, where a question has the order of a statement, or a call before it."""
    questions = [each.body for each in asked if each.is_question and stances.is_slavic(each.body)]
    if not questions:
        return False
    said = [each for each in sentences(questions[-1]) if is_question(each)]
    return stances.asks_a_fact(polish((said or questions)[-1]))


def _says_whether(first: str, asked: Sequence[Utterance]) -> bool:
    """Whether an answer says at once that something is so, or may be done, or not."""
    return any(each.is_question for each in asked) and bool(slavic_events.YES_OR_NO.match(first))


def _cue_weights(text: str, utterances: Sequence[Utterance], role: Role) -> dict[AtomType, float]:
    """What people's words count for: what a rule threatens with is no trouble, what "we" do under it no decision."""
    asked = sum(map(_asks, utterances))
    said = sentences(text)
    # What must be is told in an answer as advice.
    rules = stakes.RULE.search if role == "reply" else stances.rules
    ruled = [each for each in said if rules(each) and not cues.SETTLED.search(each)]
    instructing = [each for each in said if _instructs(each)]
    feared = [] if ruled else [e for e in said if _threatens(e) and e not in instructing]
    proposing = [each for each in said if verdicts.proposes(each)]
    recurring = [each for each in said if stances.recurs(each)]
    free = " \n ".join(each for each in said if not stances.forebodes(each))
    is_held = not ruled and stances.holds_up(free)
    told_otherwise = {*ruled, *instructing, *feared, *proposing, *recurring}
    unsolved = [slavic_events.unsolved(each) for each in said if each not in told_otherwise]
    failing = [] if is_held or stakes.REMINDS.match(text) else unsolved
    asking = [each for each in proposing if is_question(each) or not cues.SETTLED.search(each)]
    settling = [each for each in said if each not in asking and not stakes.HELD.search(each)]
    planning = [each for each in settling if each not in ruled]
    decisions = _counted(cues.DECISION, settling) + _counted(cues.PLANNED, planning)
    blocking = [each for each in said if not is_question(each)]
    failures = any(_fails(each) for each in failing) or any(map(_fails, {*ruled, *feared}))
    losses = any(stakes.LOSS.search(each) and not stakes.HELD.search(each) for each in feared)
    bridges = mishaps.MEANWHILE.search(text) and any(map(verdicts.ORDERED.search, said))
    return {
        "question": _CUES.asks * min(asked, 1) + _CUES.asks_again * min(asked, _CUES.asked_max),
        "problem": _CUES.trouble * min(_counted(cues.PROBLEM, failing), _CUES.troubles_max)
        + _CUES.shared_trouble * bool(trouble.SHARED.search(text))
        + _CUES.failure * failures,
        "solution": _CUES.advice * min(cues.count(cues.ADVICE, text), _CUES.advices_max)
        + _CUES.meanwhile * bool(bridges)
        + _CUES.instruction * bool(instructing),
        "decision": _CUES.decides * min(decisions, _CUES.decides_max)
        + _CUES.settled * min(_counted(cues.SETTLED, settling), 1)
        + _CUES.commits * any(map(cues.commits, settling)),
        "requirement": _CUES.requires * min(cues.count(cues.REQUIREMENT, text), _CUES.requires_max)
        + _CUES.rule * bool(ruled)
        + _CUES.several_rules * (_counted(stakes.RULE, ruled) > 1)
        + _CUES.planned_by_rule * min(_counted(cues.PLANNED, ruled), 1),
        "idea": _CUES.idea * min(cues.count(cues.IDEA, text), _CUES.ideas_max)
        + _CUES.proposal * bool(proposing),
        "risk": _CUES.risk * min(cues.count(cues.RISK, text), _CUES.risks_max)
        + _CUES.warning * min(cues.count(stakes.WARNING, text) + len(feared), 1)
        + _CUES.loss * losses,
        "blocker": max(
            _CUES.blocker * min(_counted(cues.BLOCKER, blocking), 1), _CUES.held_up * is_held
        ),
        "pattern": max(
            _CUES.pattern * min(cues.count(cues.PATTERN, text), 1), _CUES.recurs * bool(recurring)
        ),
    }


def _counted(pattern: re.Pattern[str], said: Sequence[str]) -> int:
    """How many cues of a table some sentences hold."""
    return sum(cues.count(pattern, sentence) for sentence in said)


def _threatens(sentence: str) -> bool:
    """Whether a sentence says what goes wrong under a condition, or unless something is done."""
    if stances.forebodes(sentence):
        return True
    if not stakes.CONDITION.search(sentence) or is_question(sentence):
        return False
    return bool(stakes.LOSS.search(sentence) or cues.PROBLEM.search(sentence))


def _instructs(sentence: str) -> bool:
    """Whether a sentence says what to do should something go wrong: "If it does not connect: remove the profile"."""
    if not stakes.CONDITION.match(sentence) or not cues.PROBLEM.search(sentence):
        return False
    return any(verdicts.ORDERED.match(clause) for clause in _AFTER_COLON.split(sentence)[1:])


def _fails(sentence: str) -> bool:
    """Whether a sentence tells a failure, with a question mark or without, and is not worded as a question."""
    asks = cues.INVERTED.match(sentence) or cues.QUESTIONING.match(sentence)
    asks = asks or cues.ASKING.search(sentence)
    return bool(cues.FAILURE.search(sentence)) and not asks


def heaviest(weights: Mapping[AtomType, float]) -> AtomType:
    """The heaviest type; of equal ones the first."""
    return max(weights, key=lambda kind: weights[kind])
