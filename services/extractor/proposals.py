"""From rounds to proposals: which groups of utterances are worth keeping as one atom."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.extractor import cues, stakes
from services.extractor.atom_types import Role
from services.extractor.rounds import Round
from services.extractor.utterances import Utterance, specific_words

# A structure that was pasted, with nothing said to it.
_PASTED: Final = re.compile(r"\s*(?:\{.*\}|\[.*\]|<\w.*>)[\s;,]*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """How much must be said for an atom, in units of `Utterance.substance`."""

    raised_min: float = 4.0
    question_min: float = 2.0
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
    exchange_min: float = 9.0
    apart: int = 4


@dataclass(eq=False, slots=True)
class Proposal:
    """Utterances that belong into one atom, the role they play and what they reply to.

    What it replies to was `heard` even where that says too little for an atom.
    """

    role: Role
    utterances: list[Utterance]
    weight: float
    answers: "Proposal | None" = None
    contradicts: bool = False
    continues: "Proposal | None" = field(default=None)
    heard: Sequence[Utterance] = ()


def substance(utterance: Utterance, selection: Selection) -> float:
    """What an utterance says: less when the importance gate held it for noise, more when it says it matters."""
    factor = selection.noise_factor if utterance.message.label == "noise" else 1.0
    if utterance.declares:
        is_settled = cues.SETTLED.search(utterance.body)
        factor *= selection.settled_factor if is_settled else selection.declared_factor
    elif not utterance.is_question and (utterance.plans or stakes.CONCLUDING.match(utterance.body)):
        factor *= selection.declared_factor
    return utterance.substance * factor


def total(utterances: Iterable[Utterance], selection: Selection) -> float:
    """What a group of utterances says together."""
    return sum(substance(utterance, selection) for utterance in utterances)


def propose(
    found: Sequence[Round], utterances: Sequence[Utterance], selection: Selection
) -> list[Proposal]:
    """Proposals of a window in order of their first utterance."""
    proposals = [item for round_ in found for item in _of_round(round_, selection)]
    proposals += _reports(utterances, selection)
    kept = [item for item in proposals if any(not u.is_context for u in item.utterances)]
    return sorted(kept, key=lambda item: item.utterances[0].index)


def _of_round(round_: Round, selection: Selection) -> Iterator[Proposal]:
    if round_.is_asking or _is_problem(round_.raised):
        yield from _of_asking(round_, selection)
    else:
        yield from _of_statement(round_, selection)


def _is_problem(raised: Sequence[Utterance]) -> bool:
    text = " ".join(utterance.body for utterance in raised)
    return bool(cues.FAILURE.search(text)) or cues.count(cues.PROBLEM, text) >= 2


def _of_asking(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """The matter, and the replies to it as one answer."""
    raised = [u for u in round_.raised if substance(u, selection) >= selection.follow_up_min]
    replies = [u for u in round_.replies if substance(u, selection) >= selection.reply_single_min]
    if _is_small_talk(round_.raised + round_.replies, selection) and round_.replies:
        return
    said = total(replies, selection)
    asked = None
    wanted = selection.question_min if _is_worded(raised) else selection.raised_min
    if (
        raised
        and total(raised, selection) >= wanted
        and not (_only_asks_back(raised) and not replies)
        and not _is_pasted(raised)
    ):
        role: Role = "raised" if round_.is_worded_so else "statement"
        asked = Proposal(role, raised, total(raised, selection))
        yield asked
    is_bare = not raised and any(utterance.is_bare for utterance in round_.raised)
    answers = (round_.is_worded_so and not is_bare) or _says_enough(replies, selection)
    if replies and said >= selection.reply_min and answers:
        if round_.is_moderated:
            yield from _remarks(replies, asked, selection)
            return
        heard = asked.utterances if asked else round_.raised
        for part, is_last in _by_helper(replies, round_.speaker):
            thanks = [u for u in round_.confirming if is_last and cues.WORKED.search(u.body)]
            cited = sorted(part + thanks, key=lambda utterance: utterance.index)
            yield Proposal("reply", cited, total(part, selection), asked, heard=heard)


def _by_helper(
    replies: Sequence[Utterance], speaker: str
) -> Iterator[tuple[list[Utterance], bool]]:
    """What somebody did about their own trouble, and what the others said to it; the last is marked."""
    own = [utterance for utterance in replies if utterance.speaker == speaker]
    others = [utterance for utterance in replies if utterance.speaker != speaker]
    parts = [part for part in (own, others) if part]
    for part in parts:
        yield part, part is parts[-1]


def _remarks(
    replies: Sequence[Utterance], asked: Proposal | None, selection: Selection
) -> Iterator[Proposal]:
    """What each speaker of a meeting says to a matter, as one piece where it says enough."""
    for theirs in _by_speaker(replies):
        if total(theirs, selection) >= selection.remark_min:
            yield Proposal("remark", theirs, total(theirs, selection), asked)


def _by_speaker(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The utterances of each speaker, in order of their first."""
    found: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        found.setdefault(utterance.speaker, []).append(utterance)
    return list(found.values())


def _is_small_talk(said: Sequence[Utterance], selection: Selection) -> bool:
    """Whether a question and its answer are short, name nothing exactly, and nothing of them seemed to matter."""
    return total(said, selection) < selection.exchange_min and not any(
        u.message.label == "signal"
        or u.has_link
        or any(character.isdigit() for character in u.body)
        or specific_words(u.body)
        for u in said
    )


def _only_asks_back(raised: Sequence[Utterance]) -> bool:
    """Whether someone only asks a person for more, about nothing that is named."""
    return all(
        u.is_question
        and cues.YOU.search(u.body)
        and not specific_words(u.body)
        and len(u.words) <= 5
        for u in raised
    )


def _is_worded(raised: Sequence[Utterance]) -> bool:
    """Whether the matter is put as a whole question rather than a word with a mark."""
    return any(u.is_asking or (u.is_question and len(u.body.split()) >= 5) for u in raised)


def _of_statement(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """What was stated, and what each of the others said to it, as pieces where they say enough."""
    stated = [u for u in round_.raised if substance(u, selection) >= selection.follow_up_min]
    first = None
    for run in _runs(stated, selection):
        if _says_enough(run, selection) and not _is_pasted(run):
            role: Role = "reply" if _is_reply(run) else "statement"
            first = Proposal(role, run, total(run, selection), heard=round_.trouble)
            yield first
    replies = [u for u in round_.replies if substance(u, selection) >= selection.follow_up_min]
    for theirs in _by_speaker(replies):
        if _says_enough(theirs, selection):
            objects = bool(cues.OBJECTION.match(theirs[0].body))
            yield Proposal("statement", theirs, total(theirs, selection), None, objects, first)


def _is_pasted(utterances: Sequence[Utterance]) -> bool:
    """Whether nothing was said but a structure pasted."""
    return all(_PASTED.match(utterance.body) for utterance in utterances)


def _is_reply(run: Sequence[Utterance]) -> bool:
    """Whether a statement is told to one person, whose own words came before the window."""
    told = bool(cues.YOU.search(run[0].body)) or run[0].confirms
    return run[0].addressee is not None and told


def _runs(stated: Sequence[Utterance], selection: Selection) -> list[list[Utterance]]:
    """Statements of one speaker, apart where each says enough and others spoke in between."""
    runs: list[list[Utterance]] = []
    for utterance in stated:
        apart = runs and utterance.index - runs[-1][-1].index >= selection.apart
        long_enough = substance(utterance, selection) >= selection.statement_min
        if not runs or (apart and long_enough):
            runs.append([utterance])
        else:
            runs[-1].append(utterance)
    return runs


def _says_enough(utterances: Sequence[Utterance], selection: Selection) -> bool:
    return (
        bool(utterances)
        and total(utterances, selection) >= selection.statement_min
        and max(substance(u, selection) for u in utterances) >= selection.statement_single_min
    )


def _reports(utterances: Sequence[Utterance], selection: Selection) -> Iterator[Proposal]:
    """First announcements by automatic speakers, with the later messages on the same subject."""
    automatic = [u for u in utterances if u.is_automatic]
    taken: set[int] = set()
    for utterance in automatic:
        if utterance.index in taken or utterance.substance < selection.report_min:
            continue
        if not cues.ANNOUNCED.search(utterance.body) or cues.ROUTINE.search(utterance.body):
            continue
        same = [u for u in automatic if u.index >= utterance.index and _same_subject(u, utterance)]
        taken.update(u.index for u in same)
        yield Proposal("report", same, utterance.substance)


def _same_subject(one: Utterance, other: Utterance) -> bool:
    if one.index == other.index:
        return True
    shared = len(one.stems & other.stems)
    return shared >= 0.6 * min(len(one.stems), len(other.stems)) and shared >= 3
