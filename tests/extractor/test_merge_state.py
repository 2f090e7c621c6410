"""Merging under a virtual clock: atoms are compared in any order and as often as one likes, and people judge meanwhile.

The conclusions are carried out as the database does it; what must hold is said of the atoms, not of the rules.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.extractor.comparing import Claim, compare
from services.extractor.deciding import LINKS_MAX, Compared, Decision, Ending, decide
from services.extractor.pairs import Pair, pair_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# What is said, in groups of related meaning; the same words again are the same text.
SAYINGS = (
    ("decision", "We keep seven days of the write-ahead log", "log"),
    ("decision", "Decided to keep seven days of the write-ahead log archive", "log"),
    ("decision", "From now on we keep thirty days of the write-ahead log", "log"),
    ("decision", "We do not keep seven days of the write-ahead log any more", "log"),
    ("problem", "The nightly backup failed, the disk of db-2 is full", "backup"),
    ("problem", "Nightly backup failed again: the disk of db-2 is full", "backup"),
    ("solution", "Old archives were deleted, the disk of db-2 has room again", "backup"),
)
MEANING = {"log": 0.93, "backup": 0.9}
WINDOWS = [UUID(int=1000 + number) for number in range(4)]


def relatedness(one: Claim, other: Claim) -> float:
    """How related a model finds two atoms: by what they are about, and the same text entirely."""
    about = {text: group for _, text, group in SAYINGS}
    if one.text == other.text:
        return 1.0
    mine, theirs = about[one.content], about[other.content]
    return MEANING[mine] if mine == theirs else 0.1


class Merging(RuleBasedStateMachine):
    """A workspace in which atoms appear, are compared by some replica at some time, and are judged."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.live: dict[UUID, Claim] = {}
        self.merged_into: dict[UUID, UUID] = {}
        self.apart: set[Pair] = set()
        self.said: dict[UUID, Claim] = {}

    @rule(
        which=st.integers(0, len(SAYINGS) - 1),
        hours=st.integers(0, 3),
        early=st.booleans(),
        window=st.sampled_from(WINDOWS),
        message=st.integers(0, 5),
    )
    def say(self, which: int, hours: int, early: bool, window: UUID, message: int) -> None:
        """An atom appears, perhaps of an old talk that is read only now, perhaps of a message that others cite."""
        self.now += timedelta(hours=hours)
        kind, words, _ = SAYINGS[which]
        said = BEGIN + timedelta(hours=len(self.said) % 5) if early else self.now
        atom = UUID(int=len(self.said) + 1)
        self.said[atom] = Claim(atom, kind, words, words, window, frozenset({message}), said)
        self.live[atom] = self.said[atom]

    @rule(which=st.integers(0, 99))
    def compare_one(self, which: int) -> None:
        """A task of the stage is done, for the first time or again."""
        if self.live:
            self.place(sorted(self.live)[which % len(self.live)])

    @rule(which=st.integers(0, 99), judgement=st.sampled_from(("approved", "rejected", "")))
    def judge(self, which: int, judgement: str) -> None:
        """A person approves or rejects an atom, or takes that back."""
        if self.live:
            atom = sorted(self.live)[which % len(self.live)]
            self.live[atom] = replace(self.live[atom], judgement=judgement)

    @rule(which=st.integers(0, 99))
    def part(self, which: int) -> None:
        """A person undoes a merge: the two live on, and are kept apart, as from what else was merged."""
        if self.merged_into:
            atom = sorted(self.merged_into)[which % len(self.merged_into)]
            host = self.merged_into.pop(atom)
            self.live[atom] = self.said[atom]
            others = [each for each, into in self.merged_into.items() if into == host]
            self.apart |= {pair_of(atom, each) for each in (host, *others)}

    def kept_apart(self) -> set[Pair]:
        """The live atoms that are kept apart, themselves or what was merged into them."""
        hosts = [[self.merged_into.get(each, each) for each in pair] for pair in self.apart]
        return {pair_of(one, other) for one, other in hosts}

    def place(self, atom: UUID) -> Decision:
        """Decide about an atom and carry it out."""
        subject = self.live[atom]
        known = [
            Compared(other, relatedness(subject, other))
            for other in self.live.values()
            if other.id != atom
        ]
        decision = decide(subject, known, self.kept_apart())
        self.check(subject, decision)
        for merged in decision.merged:
            assert decision.into is not None
            self.join(merged, decision.into)
        for ending in decision.endings:
            self.live[ending.atom] = replace(self.live[ending.atom], valid_to=ending.moment)
        return decision

    def join(self, merged: UUID, into: UUID) -> None:
        """What was merged into an atom goes with it, and its evidence."""
        gone, host = self.live.pop(merged), self.live[into]
        self.live[into] = replace(host, messages=host.messages | gone.messages)
        for each, other in self.merged_into.items():
            if other == merged:
                self.merged_into[each] = into
        self.merged_into[merged] = into

    def check(self, subject: Claim, decision: Decision) -> None:
        """One conclusion: the older one stays, but people win, what is apart stays apart, and all it names is live."""
        if subject.judgement == "rejected":
            assert decision == Decision()
        for merged in decision.merged:
            assert decision.into in self.live
            assert merged in self.live
            assert merged > decision.into or self.live[decision.into].judgement
            assert not self.live[merged].judgement
            assert pair_of(merged, decision.into) not in self.kept_apart()
        for ending in decision.endings:
            self.check_ending(ending)
        for link in decision.links:
            assert link.source != link.target
            assert {link.source, link.target} <= self.live.keys() - set(decision.merged)
            assert subject.id in (link.source, link.target)
            assert 0 <= link.confidence <= 1
        assert sum(link.type != "contradicts" for link in decision.links) <= LINKS_MAX

    def check_ending(self, ending: Ending) -> None:
        """What ends held until then, by nobody's judgement, and ends when the other began."""
        ended, by = self.live[ending.atom], self.live[ending.by]
        assert not ended.judgement
        assert ended.valid_to is None or ending.moment < ended.valid_to
        assert ended.valid_from < by.valid_from == ending.moment

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every atom is live or stands behind a live one, whose evidence includes its own."""
        assert not self.live.keys() & self.merged_into.keys()
        assert self.live.keys() | self.merged_into.keys() == self.said.keys()
        for atom, host in self.merged_into.items():
            assert self.said[atom].messages <= self.live[host].messages

    @invariant()
    def what_is_apart_stays_apart(self) -> None:
        """Two that a person took apart never stand behind one."""
        assert all(one != other for one, other in self.kept_apart())

    def teardown(self) -> None:
        """Compared again and again everything comes to rest, and then nothing is said twice."""
        for _ in range(len(self.said) + 2):
            before = (dict(self.merged_into), dict(self.live))
            for atom in sorted(self.live):
                if atom in self.live:
                    self.place(atom)
            if before == (self.merged_into, self.live):
                break
        else:
            raise AssertionError("merging never comes to rest")
        for one, other in combinations(self.live.values(), 2):
            relation = compare(one, other, relatedness(one, other))
            is_same = relation is not None and relation.verdict == "same"
            judged = bool(one.judgement and other.judgement)
            assert not is_same or judged or pair_of(one.id, other.id) in self.kept_apart()


TestMerging = Merging.TestCase
TestMerging.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
