"""From rounds to proposals: which groups of utterances are worth keeping as one atom."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from services.extractor import atom_types, cues, mishaps, stakes, verdicts
from services.extractor.atom_types import Role
from services.extractor.round import Round
from services.extractor.selection import Selection, apart, belonging, by_speaker, substance, total
from services.extractor.tokens import specific_words
from services.extractor.utterances import Utterance

# A structure that was pasted, with nothing said to it.
_PASTED: Final = re.compile(r"\s*(?:\{.*\}|\[.*\]|<\w.*>)[\s;,]*$", re.DOTALL)


@dataclass(eq=False, slots=True)
class Proposal:
    """Utterances that belong into one atom, the role they play and what they reply to.

    What it replies to was `heard` even where that says too little for an atom. Of several utterances those of
    `settling` settle what was heard. It `is_troubled` where trouble was told or answered.
    """

    role: Role
    utterances: list[Utterance]
    weight: float
    answers: "Proposal | None" = None
    contradicts: bool = False
    continues: "Proposal | None" = field(default=None)
    heard: Sequence[Utterance] = ()
    settling: Sequence[Utterance] = ()
    is_troubled: bool = False


def propose(
    found: Sequence[Round], utterances: Sequence[Utterance], selection: Selection
) -> list[Proposal]:
    """Proposals of a window in order of their first utterance."""
    proposals = [item for round_ in found for item in _of_round(round_, selection)]
    proposals += _reports(utterances, selection)
    kept = [item for item in proposals if any(not u.is_context for u in item.utterances)]
    return sorted(kept, key=lambda item: item.utterances[0].index)


def _of_round(round_: Round, selection: Selection) -> Iterator[Proposal]:
    if _is_remedy(round_):
        yield from _of_remedy(round_, selection)
    elif _is_told_fact(round_, selection):
        yield from _of_fact(round_, selection)
    elif round_.is_asking or _is_problem(round_.raised):
        yield from _of_asking(round_, selection)
    else:
        yield from _of_statement(round_, selection)


def _is_remedy(round_: Round) -> bool:
    """Whether somebody tells what they did about trouble that was told before, with why it came."""
    does = any(map(cues.REMEDIED.search, (u.body for u in round_.raised)))
    still = any(map(mishaps.STILL.search, (u.body for u in round_.raised)))
    bound = any(map(cues.SUBORDINATE.match, (u.body for u in round_.raised)))
    return (
        bool(round_.trouble) and does and not (round_.asks or still or bound or round_.clarifying)
    )


def _is_told_fact(round_: Round, selection: Selection) -> bool:
    """Whether a round of a slow talk is a question for a fact and a short answer: one piece of knowledge."""
    if not (round_.is_slow and round_.replies) or round_.settling or round_.is_troubled:
        return False
    said = total(_first_told(round_), selection)
    asked = [u for u in round_.raised if u.is_question]
    wanted = any(verdicts.WANTED.search(u.body) for u in asked)
    is_short = selection.fact_min <= said <= selection.fact_max
    is_short = is_short and round_.replies[0].speaker != round_.speaker
    return is_short and bool(asked) and (wanted or atom_types.asks_a_fact(asked))


def _first_told(round_: Round) -> list[Utterance]:
    """What the first to answer said."""
    first = round_.replies[0]
    later = [u.index for u in round_.raised if u.index > first.index]
    until = min(later, default=round_.replies[-1].index + 1)
    return list(takewhile(lambda u: u.speaker == first.speaker and u.index < until, round_.replies))


def _of_fact(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """A question for a fact with the first answer, and what else was said to it."""
    first = _first_told(round_)
    wanted = any(verdicts.WANTED.search(u.body) for u in round_.raised)
    role: Role = "verdict" if wanted else "reply"
    told = sorted(round_.raised + first, key=lambda utterance: utterance.index)
    yield Proposal(role, told, total(told, selection), heard=round_.raised)
    rest = [
        u for u in round_.replies[len(first) :] if substance(u, selection) >= selection.raised_min
    ]
    for theirs in by_speaker(rest):
        yield Proposal("reply", theirs, total(theirs, selection), heard=round_.raised)


def _of_remedy(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """What somebody did about trouble that was told before, and what was said to that."""
    weight = total(round_.raised, selection)
    if weight >= selection.raised_min:
        yield Proposal("statement", round_.raised, weight, heard=round_.trouble)
    yield from _said_to(round_, None, selection)


def _is_problem(raised: Sequence[Utterance]) -> bool:
    text = " ".join(utterance.body for utterance in raised)
    return bool(cues.FAILURE.search(text)) or cues.count(cues.PROBLEM, text) >= 2


def _of_asking(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """The matter, the replies to it as one answer, and what was settled."""
    found = list(_asked_and_answered(round_, selection))
    verdict = list(_verdict(round_, found, selection))
    yield from found + verdict


def _verdict(round_: Round, found: Sequence[Proposal], selection: Selection) -> Iterator[Proposal]:
    """What was settled in a round, of which these proposals were made."""
    weight = total(round_.settling, selection)
    told = round_.raised + round_.clarifying + round_.replies
    heard = sorted(told, key=lambda utterance: utterance.index)
    if weight < selection.verdict_min:
        return
    settled = found[0] if found and found[0].role != "reply" else None
    answers = [item for item in found if item.role == "reply"]
    if answers and not round_.is_priced:
        answers[-1].role, answers[-1].settling = "verdict", round_.settling
        answers[-1].heard = heard
        answers[-1].utterances = sorted(
            answers[-1].utterances + round_.settling, key=lambda utterance: utterance.index
        )
        return
    yield Proposal(
        "verdict", round_.settling, weight, settled, heard=heard, settling=round_.settling
    )


def _asked_and_answered(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """The matter, and the replies to it as one answer."""
    raised = [u for u in round_.raised if substance(u, selection) >= selection.follow_up_min]
    replies = [u for u in round_.replies if substance(u, selection) >= selection.reply_single_min]
    raised, replies = belonging(raised, replies, selection)
    if not raised and total(replies, selection) >= selection.reply_min:
        raised = [
            u for u in round_.raised if _is_worded([u]) and u.substance >= selection.asked_min
        ]
    if _is_small_talk(round_.raised + round_.replies, selection) and round_.replies:
        return
    said = total(replies, selection)
    asked = None
    wanted = selection.question_min if _is_worded(raised) else selection.raised_min
    if (
        raised
        and (total(raised, selection) >= wanted or (replies and _is_worded(raised)))
        and not (_only_asks_back(raised) and not replies)
        and not _is_pasted(raised)
    ):
        role: Role = "raised" if round_.is_worded_so else "statement"
        asked = Proposal(role, raised, total(raised, selection), is_troubled=round_.is_troubled)
        yield asked
    is_bare = not raised and any(utterance.is_bare for utterance in round_.raised)
    answers = (round_.is_worded_so and not is_bare) or _says_enough(replies, selection)
    if replies and said >= selection.reply_min and answers:
        if round_.is_moderated:
            yield from _remarks(replies, asked, selection)
            return
        heard = asked.utterances if asked else round_.raised
        for part, is_last in _by_helper(replies, round_, selection):
            thanks = [u for u in round_.confirming if is_last and _confirms(u)]
            cited = sorted(part + thanks, key=lambda utterance: utterance.index)
            said = total(part, selection)
            troubled = round_.is_troubled
            yield Proposal("reply", cited, said, asked, heard=heard, is_troubled=troubled)


def _confirms(utterance: Utterance) -> bool:
    """Whether somebody says that it helped, or that they have done it."""
    told = (cues.WORKED.search, cues.REMEDIED.search, stakes.SAYING_BACK.match)
    return any(cue(utterance.body) for cue in told)


def _by_helper(
    replies: Sequence[Utterance], round_: Round, selection: Selection
) -> Iterator[tuple[list[Utterance], bool]]:
    """What somebody did about their own trouble, and what the others said to it; the last is marked."""
    own = [utterance for utterance in replies if utterance.speaker == round_.speaker]
    others = [utterance for utterance in replies if utterance.speaker != round_.speaker]
    told = [others] if round_.settling else apart(others, selection)
    parts = [part for part in (own, *told) if part]
    for part in parts:
        yield part, part is parts[-1]


def _remarks(
    replies: Sequence[Utterance], asked: Proposal | None, selection: Selection
) -> Iterator[Proposal]:
    """What each speaker of a meeting says to a matter, as one piece where it says enough."""
    for theirs in by_speaker(replies):
        if total(theirs, selection) >= selection.remark_min:
            yield Proposal("remark", theirs, total(theirs, selection), asked)


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
    """What was stated, what the others said to it, and what was settled."""
    found = list(_stated(round_, selection))
    verdict = list(_verdict(round_, found, selection))
    yield from found + verdict


def _stated(round_: Round, selection: Selection) -> Iterator[Proposal]:
    """What was stated, and what each of the others said to it, as pieces where they say enough."""
    stated = [u for u in round_.raised if substance(u, selection) >= selection.follow_up_min]
    first = None
    for run in _runs(stated, selection):
        if _says_enough(run, selection, round_.is_slow) and not _is_pasted(run):
            role: Role = "reply" if _is_reply(run) else "statement"
            first = Proposal(role, run, total(run, selection), heard=round_.trouble)
            yield first
    yield from _said_to(round_, first, selection)


def _said_to(round_: Round, first: Proposal | None, selection: Selection) -> Iterator[Proposal]:
    """What each of the others said to a statement, as pieces where they say enough."""
    replies = [u for u in round_.replies if substance(u, selection) >= selection.follow_up_min]
    for theirs in by_speaker(replies):
        if _says_enough(theirs, selection, round_.is_slow):
            objects = bool(cues.OBJECTION.match(theirs[0].body))
            role: Role = "reply" if _is_reply(theirs) else "statement"
            yield Proposal(role, theirs, total(theirs, selection), None, objects, first)


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


def _says_enough(
    utterances: Sequence[Utterance], selection: Selection, is_slow: bool = False
) -> bool:
    """Whether a statement is worth an atom; where people write slowly what they write weighs more."""
    factor = selection.slow_factor if is_slow else 1.0
    return (
        bool(utterances)
        and total(utterances, selection) * factor >= selection.statement_min
        and max(substance(u, selection) for u in utterances) * factor
        >= selection.statement_single_min
    )


def _reports(utterances: Sequence[Utterance], selection: Selection) -> Iterator[Proposal]:
    """First announcements by automatic speakers, with the later messages on the same subject."""
    automatic = [u for u in utterances if u.is_automatic]
    taken: set[int] = set()
    for utterance in automatic:
        if utterance.index in taken or utterance.substance < selection.report_min:
            continue
        if cues.ROUTINE.search(utterance.body):
            continue
        same = [u for u in automatic if u.index >= utterance.index and _same_subject(u, utterance)]
        if not cues.ANNOUNCED.search(utterance.body) and len(same) < selection.report_again_min:
            continue
        taken.update(u.index for u in same)
        yield Proposal("report", same, utterance.substance)


def _same_subject(one: Utterance, other: Utterance) -> bool:
    if one.index == other.index:
        return True
    shared = len(one.stems & other.stems)
    return shared >= 0.6 * min(len(one.stems), len(other.stems)) and shared >= 3
