"""How two pieces of knowledge bear on each other, and what becomes of a new one. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from services.common.ids import uuid7
from services.common.vectors import to_halfvecs
from services.extractor import wording
from services.extractor.comparing import Claim, compare
from services.extractor.deciding import Compared, Ending, decide
from services.extractor.differing import word_changes
from services.extractor.neighbours import Reached, walk
from services.extractor.pairs import pair_of
from services.extractor.scale import Scale, measure
from services.extractor.topic_deciding import ComparedTopic, TopicClaim, decide_topic

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
BACKUP = "The nightly backup fails because the archive disk is full"


def claim(words: str, kind: str = "problem", day: int = 0, **fields: Any) -> Claim:
    """A claim of its own window and message, said on a day."""
    values: dict[str, Any] = {
        "id": uuid7(),
        "type": kind,
        "title": words[:90],
        "content": words,
        "window": uuid4(),
        "messages": frozenset({uuid4()}),
        "valid_from": MONDAY + timedelta(days=day),
    }
    return Claim(**(values | fields))


def verdict(one: Claim, other: Claim, relatedness: float) -> str:
    """How the two relate, the same in both directions."""
    relation, back = compare(one, other, relatedness), compare(other, one, relatedness)
    assert (relation and relation.verdict) == (back and back.verdict)
    return relation.verdict if relation else ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BACKUP, BACKUP),
        (BACKUP, f"{BACKUP} again"),
        ("What is the best way to rotate keys?", "best way to rotate the keys? Monthly?"),
        (
            "Нічне резервне копіювання падає через повний диск",
            "Нічне резервне копіювання знову падає через повний диск",
        ),
    ],
)  # fmt: skip
def test_the_same_in_a_word_more_is_the_same(one: str, other: str) -> None:
    """Very related, and one says what the other says and a word more: one piece of knowledge."""
    assert verdict(claim(one), claim(other), 0.93) == "same"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Release 1.2 breaks the import", "Release 1.3 breaks the import"),
        ("The import of rust_chat fails", "The import of java_chat fails"),
        ("Service billing needs three replicas", "Service mail needs three replicas"),
        ("The cache is warmed before a deploy", "The cache is not warmed before a deploy"),
        ("Deploys happen on Monday", "Deploys happen on Thursday"),
        ("Деплой у понеділок о дев'ятій", "Деплой у четвер о дев'ятій"),
    ],
)
def test_another_particular_is_something_else(one: str, other: str) -> None:
    """A model takes such sentences for nearly the same; a number, name, day, negation or swapped word says no."""
    assert verdict(claim(one, "insight"), claim(other, "insight"), 0.97) == "similar"


def test_meaning_must_agree_too() -> None:
    """Words alone, in texts that a model finds unrelated, are no proof, and a solution is never its question."""
    other = claim(f"{BACKUP} again")
    assert verdict(claim(BACKUP), other, 0.3) == ""
    solution = claim(f"{BACKUP} so prune it", "solution")
    assert verdict(claim(BACKUP, "question"), solution, 0.95) == "similar"


def test_the_same_messages_read_twice_are_one() -> None:
    """Two windows cut the same talk elsewhere: less is asked of meaning, but not within one window."""
    first, second = uuid4(), uuid4()
    one = claim(f"{BACKUP}. Any idea why?", messages=frozenset({first, second}))
    other = claim("Backup fails, disk full", messages=frozenset({first}))
    assert verdict(one, other, 0.5) == "same"
    assert verdict(claim(one.content), claim(other.content), 0.5) == ""
    apart = claim(other.content, messages=other.messages, window=one.window)
    assert verdict(one, apart, 0.5) == ""
    answer = claim(f"{BACKUP} so it was pruned", "solution", messages=frozenset({first}))
    assert verdict(one, answer, 0.5) == ""
    assert verdict(other, answer, 0.5) == "same"
    told = claim(f"Any idea why? {BACKUP}", "insight", messages=frozenset({first}))
    assert verdict(one, told, 0.5) == "same"


def test_who_says_it_and_what_it_answers_are_not_compared() -> None:
    """Speakers and the quoted question are left out of the words; identical texts are so letter by letter."""
    one = claim(BACKUP, content=f"ann: {BACKUP}")
    other = claim(BACKUP, content=f"bob: {BACKUP}")
    assert verdict(one, other, 0.9) == "same"
    assert one.text != other.text
    lines = "Ann van der Berg: it is full\nbob: Note: all of it\nWhat is this: a line"
    told = claim(BACKUP, content=lines, speakers=frozenset({"Ann van der Berg", "Ann", "bob"}))
    assert told.own == f"{BACKUP}\nit is full\nNote: all of it\nWhat is this: a line"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("We release the client on Friday", "We release the client on Monday instead"),
        ("We keep seven days of logs", "We keep fourteen days of logs"),
        ("We support the old protocol", "We no longer support the old protocol"),
        ("Реліз клієнта у п'ятницю", "Реліз клієнта перенесли на понеділок"),
        ("Реліз клієнта у п\u02bcятницю", "Реліз клієнта перенесли на понеділок"),
        (
            "We release 3.2 on Wednesday. Feature freeze is Friday evening",
            "Change of plan: Ann needs prices live, so 3.2 goes out on Monday instead of Wednesday. Freeze tonight",
        ),
        (
            "Тоді безкоштовну доставку робимо від 1000 грн, а не від 800",
            "Порахувала: від 1000 грн мало хто добирає. Повертаємо безкоштовну доставку від 800, тільки для міста",
        ),
        (
            "Вирішено: їдемо на ярмарок, стоїмо обидва дні, Ігор возить",
            "Світлана захворіла, самі не впораємось. На ярмарок не їдемо, місце віддаємо сусідам",
        ),
    ],
)
def test_a_newer_decision_contradicts_an_older_one(before: str, after: str) -> None:
    """About the same thing, with another value or a denial."""
    older, newer = claim(before, "decision"), claim(after, "decision", day=3)
    assert verdict(older, newer, 0.8) == "contradicts"
    decision = decide(newer, [Compared(older, 0.8)])
    assert decision.endings == (Ending(older.id, newer.valid_from, newer.id),)
    assert [link.type for link in decision.links] == ["contradicts"]
    late = decide(older, [Compared(newer, 0.8)])
    assert late.endings == decision.endings


@pytest.mark.parametrize(("day", "moves"), [(3, True), (7, False)])
def test_an_end_is_that_of_the_first_contradiction(day: int, moves: bool) -> None:
    """A contradiction that is read late, of a time before the one that had ended a decision, ends it instead."""
    before, after = "We release the client on Friday", "We release the client on Monday instead"
    older = claim(before, "decision", valid_to=MONDAY + timedelta(days=5))
    newer = claim(after, "decision", day=day)
    assert verdict(older, newer, 0.8) == "contradicts"
    ends = [(end.atom, end.by) for end in decide(newer, [Compared(older, 0.8)]).endings]
    assert ends == ([(older.id, newer.id)] if moves else [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("We release 3.2 on Wednesday", "Bins are out on Monday instead of Wednesday"),
        ("Безкоштовну доставку робимо від 800 грн", "Подарункові набори робимо від 450, а не від 800"),
    ],
)  # fmt: skip
def test_a_value_that_is_replaced_elsewhere_contradicts_nothing(before: str, after: str) -> None:
    """That a number or day no longer holds says so of what it was said of."""
    older, newer = claim(before, "decision"), claim(after, "decision", day=3)
    assert verdict(older, newer, 0.8) != "contradicts"


def test_problems_and_other_subjects_do_not_contradict() -> None:
    """Only what was settled can be settled otherwise, and only if it is about the same thing."""
    older, newer = claim("We keep seven days of logs"), claim("We keep nine days of logs", day=1)
    assert verdict(older, newer, 0.9) == "similar"
    one = claim("We release the client on Friday", "decision")
    two = claim("Lunch talks move to Monday", "decision", day=1)
    assert verdict(one, two, 0.6) == ""


def test_people_win() -> None:
    """What a person approved neither joins nor ends; what a person rejected swallows; two judged atoms stay two."""
    old, new = claim(BACKUP), claim(BACKUP, day=1)
    approved = claim(BACKUP, day=2, judgement="approved")
    rejected = claim(BACKUP, day=2, judgement="rejected")
    assert decide(new, [Compared(old, 1.0)]).into == old.id
    assert decide(old, [Compared(new, 1.0)]).merged == (new.id,)
    assert decide(approved, [Compared(old, 1.0)]).merged == (old.id,)
    assert decide(old, [Compared(approved, 1.0)]).into == approved.id
    assert decide(old, [Compared(rejected, 1.0)]).into == rejected.id
    assert decide(rejected, [Compared(old, 1.0)]).into is None
    assert decide(approved, [Compared(claim(BACKUP, judgement="approved"), 1.0)]).into is None
    kept = decide(new, [Compared(old, 1.0)], {pair_of(new.id, old.id)})
    assert (kept.into, [link.type for link in kept.links]) == (None, ["relates_to"])
    settled = claim("We release on Friday", "decision", judgement="approved")
    later = claim("We release on Monday instead", "decision", day=1)
    assert decide(later, [Compared(settled, 0.9)]).endings == ()


def test_two_kept_apart_do_not_meet_in_a_third() -> None:
    """Of two that repeat a third and that a person took apart only the older one joins it; the other is linked."""
    third, *others = (claim(BACKUP, day=day) for day in range(4))
    first, second, free = sorted(others, key=lambda each: each.id)
    apart = {pair_of(second.id, first.id)}
    decision = decide(third, [Compared(each, 1.0) for each in (second, free, first)], apart)
    assert (decision.into, decision.merged) == (third.id, (first.id, free.id))
    assert [link.type for link in decision.links] == ["relates_to"]


def test_what_had_ended_is_said_anew() -> None:
    """A statement repeated after it was ended is new; one that was said before the end joins."""
    ended = claim(BACKUP, "decision", valid_to=MONDAY + timedelta(days=5))
    assert verdict(ended, claim(BACKUP, "decision", day=2), 1.0) == "same"
    assert verdict(ended, claim(BACKUP, "decision", day=9), 1.0) != "same"


def test_the_scale_follows_the_model() -> None:
    """Unrelated texts lie at 0 and the same text at 1 in a model with low cosines as in one with high ones."""
    random = np.random.default_rng(7)
    for common in (0.1, 2.0):
        rows = random.standard_normal((200, 64)) / 8 + common * np.eye(64)[0]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        scale = measure(to_halfvecs(rows.astype(np.float32)))
        cosines = rows @ rows.T
        typical = float(np.mean(cosines[np.triu_indices(200, 1)]))
        assert abs(scale.relatedness(typical)) < 0.1
        assert scale.relatedness(1.0) == pytest.approx(1.0)
    assert measure([]).unrelated == 0.85
    assert Scale(0.8).relatedness(0.9) == pytest.approx(0.5)


def topic(title: str, *windows: UUID) -> TopicClaim:
    """A topic of windows."""
    return TopicClaim(uuid7(), title, title.casefold(), frozenset(windows))


def test_topics_join_by_title_and_meaning() -> None:
    """Equal titles join; like ones if most words agree, unless one reading told them apart."""
    window = uuid4()
    old, same = topic("Backup retention policy"), topic("backup retention policy")
    assert decide_topic(same, [ComparedTopic(old, None)]) is not None
    alike = topic("Retention policy of each backup", window)
    found = decide_topic(alike, [ComparedTopic(old, 0.8)])
    assert found is not None
    assert (found.into, found.merged) == (old.id, (alike.id,))
    apart = topic("Policy of backup retention for tapes", window)
    assert decide_topic(apart, [ComparedTopic(alike, 0.9)]) is None
    assert decide_topic(topic("Backups"), [ComparedTopic(topic("backups"), 1.0)]) is None
    assert decide_topic(same, [ComparedTopic(old, 1.0)], {pair_of(old.id, same.id)}) is None


def test_differences_restore_both_texts() -> None:
    """Kept and added words make the text after, kept and removed words the one before."""
    before, after = "We keep seven days of WAL.", "We keep fourteen days of the WAL."
    changes = word_changes(before, after)
    assert "".join(text for kind, text in changes if kind != "removed") == after
    assert "".join(text for kind, text in changes if kind != "added") == before
    assert ("added", "fourteen") in changes
    assert word_changes(after, after) == []


def test_the_surest_way_counts() -> None:
    """Of two ways to an atom the surer one gives its confidence; what was reached is not reached again."""
    start, near, far = uuid7(), uuid7(), uuid7()
    reached = {start: Reached(start, 0, 1.0), near: Reached(near, 1, 0.5)}
    links = [
        {"from_atom_id": near, "to_atom_id": far, "confidence": 0.8},
        {"from_atom_id": far, "to_atom_id": start, "confidence": 0.3},
        {"from_atom_id": near, "to_atom_id": start, "confidence": 0.9},
    ]
    assert walk(reached, links, 2) == [far]
    assert reached[far] == Reached(far, 2, pytest.approx(0.4))


def test_swaps_are_seen_between_like_sentences_alone() -> None:
    """A word in another's place, in a sentence that is otherwise the same; not in texts that differ anyway."""
    one = wording.read("Service billing needs more replicas under load").order
    assert wording.swaps(one, wording.read("Service mail needs more replicas under load").order)
    assert not wording.swaps(one, wording.read("Service billing often needs more replicas").order)
    assert not wording.swaps(one, wording.read("Caches warm slowly after deploys").order)


@pytest.mark.timeout(60)
def test_repetitive_texts_are_compared_at_once() -> None:
    """Texts made to be aligned in every way are told apart without trying all of them."""
    before, after = "ab cd " * 600, "ab cd ef " * 400
    changes = word_changes(before, after)
    assert "".join(text for kind, text in changes if kind != "added") == before
    assert "".join(text for kind, text in changes if kind != "removed") == after
    for _ in range(30):
        wording.swaps(("ab", "cd") * 350, ("ab", "cd", "ef") * 233)


def test_long_texts_are_told_apart_in_words() -> None:
    """Where a text is too long to be aligned in words, its sentences are, and the words of those that differ."""
    sentences = [
        f"Sentence {number} says that part {number} of the plan is done. " for number in range(60)
    ]
    before, after = "".join(sentences), "".join(sentences).replace("part 7 ", "part eight ")
    changes = word_changes(before, after)
    assert [change for change in changes if change[0] != "kept"] == [
        ("removed", "7"),
        ("added", "eight"),
    ]
    assert "".join(text for kind, text in changes if kind != "removed") == after


def test_one_other_word_in_a_long_text_is_a_swap() -> None:
    """However much two texts have in common, a word in another's place is seen."""
    stems = [f"stem{number}" for number in range(400)]
    assert wording.swaps(stems, [*stems[:200], "other", *stems[201:]])
    assert not wording.swaps(stems, [*stems, "more"])
