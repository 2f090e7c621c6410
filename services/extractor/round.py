"""A round of talk: one matter that somebody raises, with all that is said to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from services.extractor import cues, mishaps, stakes, verdicts
from services.extractor.utterances import Utterance

_TYPED: Final = re.compile(
    r"\s*[$`]?\s*(?:sudo|apt(?:-get)?|pip3?|npm|cargo|git|docker|kubectl|yum|dnf|brew|systemctl|service)\s+\S"
)
_CLAUSE_END: Final = re.compile(r"[,.;!]\s+")
HELP_MINUTES: Final = 60
_SLOW_HELP_MINUTES: Final = 180


@dataclass(slots=True)
class Round:
    """One speaker's matter (`raised`), the replies to it, the questions back, the thanks; what it came from and after.

    What was proposed or weighed is settled by those of `settling`. It `is_moderated` where headings or the marks of
    minutes lead the talk; one heading alone proves nothing. It `is_slow` where minutes lie between most messages.
    """

    speaker: str
    raised: list[Utterance] = field(default_factory=list)
    replies: list[Utterance] = field(default_factory=list)
    clarifying: list[Utterance] = field(default_factory=list)
    confirming: list[Utterance] = field(default_factory=list)
    settling: list[Utterance] = field(default_factory=list)
    helped: list[Utterance] = field(default_factory=list)
    previous: "Round | None" = None
    before: "Round | None" = None
    is_moderated: bool = False
    is_slow: bool = False

    @property
    def asks(self) -> bool:
        """Whether who raised the matter asks."""
        return any(utterance.asks for utterance in self.raised)

    @property
    def fails(self) -> bool:
        """Whether who raised the matter tells a failure."""
        return any(utterance.fails for utterance in self.raised)

    @property
    def puzzles(self) -> bool:
        """Whether who raised the matter tells trouble."""
        return any(utterance.puzzles for utterance in self.raised)

    @property
    def is_asking(self) -> bool:
        """Whether the matter is a question or a call for help, or was taken for one."""
        taken = self.clarifying or self.confirming or self.is_remedied
        return self.asks or bool(taken) or self.is_troubled

    @property
    def is_remedied(self) -> bool:
        """Whether who raised the matter tells what they did about it."""
        return any(reply.speaker == self.speaker for reply in self.replies)

    @property
    def trouble(self) -> list[Utterance]:
        """What was told of trouble in the round before this one, unless that was long before."""
        if self.before is None:
            return []
        known = self.before.raised
        help_minutes = _SLOW_HELP_MINUTES if self.is_slow else HELP_MINUTES
        if not known or not self.raised or minutes(known[-1], self.raised[0]) > help_minutes:
            return []
        heard = known + self.before.replies
        stems = frozenset().union(*(utterance.stems for utterance in heard))
        if self.speaker not in {utterance.speaker for utterance in heard} and not any(
            utterance.stems & stems for utterance in self.raised
        ):
            return []
        return [utterance for utterance in known if utterance.fails]

    @property
    def is_troubled(self) -> bool:
        """Whether trouble was told: by its words, or by how the others took it, who say what to do, or mended it."""
        if self.fails:
            return True
        if self.settling or any(map(_is_no_trouble, self.raised)) or _is_told_one(self.raised):
            return False
        answers = [reply for reply in self.replies if reply.speaker != self.speaker]
        if any(mishaps.COMING.match(each.body) for each in answers[:1]):
            return True
        done = answers and any(mishaps.REPAIRED.search(u.body) for u in self.confirming + answers)
        return bool(done) or any(orders(each) for each in answers)

    @property
    def is_priced(self) -> bool:
        """Whether somebody asked what it costs, which is a fact beside what is then settled."""
        told = self.raised + self.clarifying
        return any(verdicts.COSTS.search(utterance.body) for utterance in told)

    @property
    def is_worded_so(self) -> bool:
        """Whether the speaker's own words show that help was wanted: a question, a complaint, thanks."""
        return self.asks or self.puzzles or bool(self.confirming) or self.is_troubled


def advises(utterance: Utterance) -> bool:
    """Whether an utterance tells what to do or what to type."""
    return orders(utterance) or bool(
        cues.ADVICE.search(utterance.body) or _TYPED.match(utterance.body)
    )


def orders(utterance: Utterance) -> bool:
    """Whether a clause of an utterance begins by telling what to do."""
    clauses = _CLAUSE_END.split(utterance.body)
    return any(verdicts.ORDERED.match(clause.strip()) for clause in clauses)


def _is_told_one(raised: Sequence[Utterance]) -> bool:
    """Whether what was raised is told to one person, as advice is."""
    return any(
        u.addressee is not None and (advises(u) or cues.YOU.search(u.body)) for u in raised[:1]
    )


def _is_no_trouble(utterance: Utterance) -> bool:
    """Whether an utterance asks, proposes, settles or tells a rule."""
    is_other = utterance.asks or utterance.declares or utterance.plans
    return is_other or verdicts.proposes(utterance.body) or bool(stakes.RULE.search(utterance.body))


def is_weighed(current: Round) -> bool:
    """Whether something waits to be settled: a proposal, a choice, or what it costs."""
    told = current.raised + current.clarifying + current.replies
    if current.is_priced or any(verdicts.WANTED.search(utterance.body) for utterance in told):
        return True
    if current.is_slow and any(verdicts.OFFERED.search(utterance.body) for utterance in told):
        return True
    return not current.fails and any(verdicts.weighs(utterance.body) for utterance in told)


def said(current: Round) -> frozenset[str]:
    """Stems of all that was raised and replied."""
    return frozenset().union(*(item.stems for item in current.raised + current.replies))


def is_answered(current: Round) -> bool:
    """Whether others have said something to what a speaker last said or was asked back."""
    own = current.raised + current.clarifying
    return bool(own and current.replies) and current.replies[-1].index > max(u.index for u in own)


def minutes(earlier: Utterance, later: Utterance) -> float:
    """Minutes from one utterance to a later one."""
    return (later.message.sent_at - earlier.message.sent_at).total_seconds() / 60
