"""Where minutes lie between messages people write less and mean more, and change the subject without a word."""

import pytest

from services.extractor.grounded import GroundedEngine
from services.extractor.utterances import read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("How many chairs are left in the museum cellar?", "34, two of them without arms"),
        ("Скільки стільців лишилось у підвалі музею?", "34, два з них без бильця"),
        ("Сколько стульев осталось в подвале музея?", "34, два из них без подлокотников"),
    ],
)
async def test_a_question_for_a_fact_and_its_short_answer_are_one(asked: str, told: str) -> None:
    """The answer says nothing without the question: both are one insight, titled by both."""
    extraction = await ENGINE.extract(talk(f"ann: {asked}", f"ben: {told}", seconds=300))
    assert ids(extraction.atoms) == [[1, 2]]
    (atom,) = extraction.atoms
    assert atom.type == "insight"
    assert atom.title.startswith("34, ")
    assert "—" in atom.title


async def test_where_people_write_at_once_question_and_answer_are_apart() -> None:
    """In a fast talk the answer is looked for by itself."""
    extraction = await ENGINE.extract(
        talk(
            "ann: How many chairs are left in the museum cellar?",
            "ben: 34 chairs, two of them without arms, and a bench",
            seconds=20,
        )
    )
    assert ids(extraction.atoms) == [[1], [2]]


async def test_answers_of_two_people_in_words_of_their_own_are_apart() -> None:
    """Why it failed and what to do meanwhile are two notes where two people tell them."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the card terminal in the museum shop doesn't take cards since noon",
            "ben: that's an outage of the bank, everybody in the street has it",
            "cleo: put a paper on the door, cash only, and fetch change from the cafe",
            seconds=300,
        )
    )
    assert ids(extraction.atoms) == [[1], [2], [3]]


async def test_who_asks_back_about_trouble_at_once_opens_no_matter() -> None:
    """A short question after trouble is about it, and what it is answered belongs to the trouble."""
    extraction = await ENGINE.extract(
        talk(
            "ann: піч у другому цеху не тримає температуру, стоїть 180",
            "ben: тен чи термостат?",
            "ann: не знаю, нагрівається довго і падає",
            seconds=240,
        )
    )
    assert ids(extraction.atoms) == [[1, 3]]


async def test_after_an_answer_none_of_its_words_tells_something_else() -> None:
    """What a third person tells everybody in other words is no answer to what has been answered."""
    extraction = await ENGINE.extract(
        talk(
            "ann: How do we label the crates of the summer exhibition?",
            "ben: green labels with the year on the short side of each crate",
            "cleo: the insurance company wants photographs before Wednesday evening",
            seconds=60,
        )
    )
    assert [3] in ids(extraction.atoms)


def test_what_others_are_said_to_ask_is_no_question() -> None:
    """Who tells what visitors ask does not ask it."""
    for said in (
        "visitors ask whether there is a lift to the tower",
        "Відвідувачі питають чи є ліфт на вежу",
        "Посетители спрашивают, есть ли лифт на башню",
    ):
        (utterance,) = read(talk(f"ann: {said}").messages)
        assert not utterance.is_asking, said


def test_who_learns_how_to_do_it_does_not_ask() -> None:
    """Only who wants to know asks how to do something."""
    (utterance,) = read(talk("ann: once you know how to do it the frame is easy").messages)
    assert not utterance.is_asking
