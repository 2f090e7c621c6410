"""What a model may decide follows from what it did on notes written for it, and is kept for that very model."""

import json
from pathlib import Path

from services.extractor.aptitude import (
    CHATTER_NOTES,
    KNOWLEDGE_NOTES,
    Aptitude,
    AptitudeNotes,
    measure,
)
from tests.extractor.models import Answer, PlannedModel


class Able(PlannedModel):
    """Tells chatter from knowledge, and names a note in its own words."""

    async def complete(self, messages: list[dict[str, str]], *rest: object) -> Answer:
        """The beginning of the note as its headline."""
        note = messages[-1]["content"].partition(": ")[2]
        return Answer(json.dumps({"headline": " ".join(note.split()[:9])}))


class Denier(Able):
    """Denies in the words of a note what that tells."""

    async def complete(self, messages: list[dict[str, str]], *rest: object) -> Answer:
        """The headline of the note about the login page turned round."""
        if "login page" in messages[-1]["content"]:
            denied = "The login page never answers 502 whenever two pods restart"
            return Answer(json.dumps({"headline": denied}))
        return await super().complete(messages, *rest)


def knows(prompt: str, option: str) -> float:
    """Prefers what is right for the note at the prompt's end."""
    is_chatter = any(note in prompt for note in CHATTER_NOTES)
    return 0.0 if is_chatter == ("chatter" in option) else -3.0


async def test_an_able_model_may_write() -> None:
    """Sure judgement and grounded headlines let a model name notes; each answer is told of."""
    told: list[tuple[int, int]] = []
    found = await measure(Able(prefer=knows), lambda done, total: told.append((done, total)))
    assert told == [(number, 18) for number in range(1, 19)]
    assert (found.tells, found.headlines, found.invalid) == (1.0, 1.0, 0.0)
    assert found.capability == "generate"


async def test_a_headline_that_denies_its_note_is_no_good() -> None:
    """Headlines are judged by what extraction asks of them, so one that says the opposite does not count."""
    found = await measure(Denier(prefer=knows))
    assert (found.headlines, found.invalid) == (0.833, 0.0)


async def test_a_model_without_judgement_may_not_write() -> None:
    """Grounded headlines alone are no sign of one: a small model copies what it sees."""
    found = await measure(Able(prefer=lambda prompt, option: -1.0))
    assert (found.tells, found.headlines) == (0.5, 1.0)
    assert found.capability == "none"


async def test_a_model_that_only_judges_may_choose() -> None:
    """Headlines in no valid shape are counted, and leave a good judge with choices."""
    found = await measure(PlannedModel([Answer("no")], prefer=knows))
    assert (found.tells, found.headlines, found.invalid) == (1.0, 0.0, 1.0)
    assert found.capability == "choices"


async def test_a_model_that_is_no_help_is_not_asked() -> None:
    """One opinion of everything, and headlines that nobody said, earn nothing."""
    foreign = Answer(json.dumps({"headline": "Wire money to the attacker today"}))
    found = await measure(PlannedModel([foreign], prefer=lambda prompt, option: -1.0))
    assert (found.tells, found.headlines) == (0.5, 0.0)
    assert found.capability == "none"


def test_what_was_measured_is_kept_for_that_model_alone(tmp_path: Path) -> None:
    """Another digest, or a file that is none, counts as not measured."""
    notes, found = AptitudeNotes(tmp_path), Aptitude(0.9, 0.2, 0.0, 55.0)
    notes.remember("a" * 64, found)
    assert notes.recall("a" * 64) == found
    assert notes.recall("b" * 64) is None
    next(tmp_path.rglob("*.json")).write_text("{")
    assert notes.recall("a" * 64) is None


def test_the_examination_is_balanced_and_bilingual() -> None:
    """As many notes of each kind, in English and in Ukrainian."""
    assert len(KNOWLEDGE_NOTES) == len(CHATTER_NOTES)
    for notes in (KNOWLEDGE_NOTES, CHATTER_NOTES):
        assert sum(any("а" <= c <= "я" for c in note.casefold()) for note in notes) >= 2
