"""How much is said, what is enough for an atom, and which answers belong together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.extractor import cues, stakes, verdicts
from services.extractor.utterances import Utterance


@dataclass(frozen=True, slots=True)
class Selection:
    """How much must be said for an atom, in units of `Utterance.substance`."""

    raised_min: float = 4.0
    question_min: float = 2.0
    asked_min: float = 1.0
    reply_min: float = 2.0
    reply_single_min: float = 2.0
    remark_min: float = 5.0
    statement_min: float = 7.5
    statement_single_min: float = 4.5
    follow_up_min: float = 2.0
    noise_factor: float = 0.7
    declared_factor: float = 2.0
    settled_factor: float = 3.0
    report_min: float = 8.0
    report_again_min: int = 3
    exchange_min: float = 9.0
    verdict_min: float = 1.0
    fact_min: float = 1.0
    fact_max: float = 8.0
    slow_factor: float = 1.4
    apart: int = 4


def substance(utterance: Utterance, selection: Selection) -> float:
    """What an utterance says: less when the importance gate held it for noise, more when it says it matters."""
    factor = selection.noise_factor if utterance.message.label == "noise" else 1.0
    if utterance.declares:
        is_settled = cues.SETTLED.search(utterance.body)
        factor *= selection.settled_factor if is_settled else selection.declared_factor
    elif not utterance.is_question and (
        utterance.plans
        or stakes.CONCLUDING.match(utterance.body)
        or stakes.RULE.search(utterance.body)
        or verdicts.proposes(utterance.body)
    ):
        factor *= selection.declared_factor
    return utterance.substance * factor


def total(utterances: Iterable[Utterance], selection: Selection) -> float:
    """What a group of utterances says together."""
    return sum(substance(utterance, selection) for utterance in utterances)


def belonging(
    raised: Sequence[Utterance], replies: Sequence[Utterance], selection: Selection
) -> tuple[list[Utterance], list[Utterance]]:
    """What was raised and replied without what says little, comes later, and shares no word with what came before."""
    kept: list[Utterance] = []
    for utterance in sorted([*raised, *replies], key=lambda each: each.index):
        if not kept or not _is_stray(utterance, kept, raised, selection):
            kept.append(utterance)
    return [u for u in kept if u in raised], [u for u in kept if u in replies]


def _is_stray(
    utterance: Utterance,
    kept: Sequence[Utterance],
    raised: Sequence[Utterance],
    selection: Selection,
) -> bool:
    """Whether somebody says little, to nobody, in words of their own, once a matter has been answered."""
    last = kept[-1]
    small = (
        utterance.is_to_all
        and utterance.substance < selection.raised_min
        and not utterance.is_question
    )
    answered = any(each not in raised for each in kept)
    is_next = utterance.index - last.index <= 2
    goes_on = (last.speaker == utterance.speaker and is_next) or last.is_question
    shares = any(each.stems & utterance.stems for each in kept)
    return small and answered and not (goes_on or shares)


def apart(replies: Sequence[Utterance], selection: Selection) -> list[list[Utterance]]:
    """Answers of several people: apart where each says enough in words of its own."""
    parts: list[list[Utterance]] = []
    said: set[str] = set()
    for theirs in by_speaker(replies):
        stems = set().union(*(utterance.stems for utterance in theirs))
        if parts and (total(theirs, selection) < selection.raised_min or stems & said):
            parts[-1] += theirs
        else:
            parts.append(theirs)
        said |= stems
    return [sorted(part, key=lambda utterance: utterance.index) for part in parts]


def by_speaker(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The utterances of each speaker, in order of their first."""
    found: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        found.setdefault(utterance.speaker, []).append(utterance)
    return list(found.values())
