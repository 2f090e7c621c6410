"""What came of trouble, a plan that replaces another, and titles that say what was asked."""

import pytest

from services.extractor.grounded import GroundedEngine
from services.extractor.titles import sentences, shorten
from services.extractor.utterances import read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (
            "the label printer in the west hall failed at noon, the spool folder is full",
            "cleared the spool folder and set its limit to two hundred jobs",
        ),
        (
            "принтер етикеток у західному залі не друкує з обіду, тека черги переповнена",
            "почистив теку черги і поставив їй межу двісті завдань",
        ),
        (
            "принтер этикеток в западном зале не печатает с обеда, папка очереди переполнена",
            "почистил папку очереди и поставил ей предел двести заданий",
        ),
    ],
)
async def test_who_tells_of_trouble_and_then_what_they_did_tells_a_solution(
    trouble: str, remedy: str
) -> None:
    """What somebody did about their own trouble, minutes later, is a note of its own and solves it."""
    extraction = await ENGINE.extract(talk(f"ann: {trouble}", f"ann: {remedy}", seconds=240))
    assert ids(extraction.atoms) == [[1], [2]]
    assert [atom.type for atom in extraction.atoms] == ["problem", "solution"]
    assert [(link.source, link.target, link.type) for link in extraction.links] == [
        (1, 0, "solves")
    ]


async def test_what_was_tried_at_once_belongs_to_the_trouble() -> None:
    """Who goes on at once tells what they had done before they asked, not what helped."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the label printer in the west hall failed at noon, the spool folder is full",
            "ann: cleared the spool folder and set its limit to two hundred jobs",
            seconds=20,
        )
    )
    assert ids(extraction.atoms) == [[1, 2]]


async def test_what_is_done_to_a_thing_is_no_remedy() -> None:
    """A cause that is told in the passive voice belongs to the trouble."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the label printer in the west hall failed at noon, the spool folder is full",
            "ann: found it: old jobs in the spool folder are never deleted by the night run",
            seconds=240,
        )
    )
    assert ids(extraction.atoms) == [[1, 2]]


async def test_who_answered_says_something_else_after_the_thanks() -> None:
    """After the thanks also who had answered opens a matter with what shares no word with it and says enough."""
    extraction = await ENGINE.extract(
        talk(
            "ann: Has anybody the October invoice of the carpenter?",
            "ben>1: I sent it to your mailbox this morning",
            "ann: thanks!",
            "ben: the label printer in the west hall failed at noon, the spool folder is full",
            seconds=240,
        )
    )
    assert ids(extraction.atoms)[-1] == [4]


@pytest.mark.parametrize(
    "plan",
    [
        "change of plan, the printer moves to the north hall on Wednesday",
        "ok decided: the printer moves to the north hall, the old desk stays",
        "let's skip the north hall this year and rent the cellar for it",
        "перерішали: принтер їде в північний зал, старий стіл лишається",
        "тоді заповнюємо накладну на всі коробки, зразок лежить у теці",
        "домовляємось: з понеділка заявки тільки через форму",
        "передумали, принтер едет в северный зал, старый стол остаётся",
    ],
)
async def test_a_plan_that_replaces_another_is_a_decision(plan: str) -> None:
    """Who tells what is to be done instead, or from now on, tells a decision of its own."""
    extraction = await ENGINE.extract(
        talk("ann: the printer stands in the south hall for now", f"ben: {plan}")
    )
    assert [2] in ids(extraction.atoms)
    assert extraction.atoms[-1].type == "decision"


async def test_a_few_words_of_a_decision_are_kept_and_those_of_a_task_are_not() -> None:
    """What is settled needs fewer words than what somebody is going to do."""
    settled = await ENGINE.extract(talk("ann: let's make it 21 crates then. forget the 14"))
    assert [atom.type for atom in settled.atoms] == ["decision"]
    task = await ENGINE.extract(talk("ann: I'll file the request today"))
    assert task.atoms == ()


def test_agreement_alone_declares_nothing() -> None:
    """'Agreed' alone says yes to what was said before."""
    for said in ("домовились", "договорились", "ok, agreed"):
        assert not read(talk(f"ann: {said}").messages)[0].declares


@pytest.mark.parametrize(
    ("said", "titled"),
    [
        (
            "what do we do with the old desk? three drawers stick, nobody has used it since May",
            "What do we do with the old desk? three drawers stick, nobody has used it since May",
        ),
        (
            "рівень фарби нижче мінімуму, точно. яку доливати?",
            "Рівень фарби нижче мінімуму, точно. яку доливати?",
        ),
        (
            "question for all: do we print the autumn catalogue in the west hall? the crates take two days by train",
            "Do we print the autumn catalogue in the west hall?",
        ),
        (
            "Питання, на яке поки немає відповіді: чи друкуємо каталог до літа?",
            "Питання, на яке поки немає відповіді: чи друкуємо каталог до літа?",
        ),
    ],
)
async def test_a_question_is_titled_by_what_it_asks(said: str, titled: str) -> None:
    """The question gives its title, with the rest of its message where it says too little alone."""
    extraction = await ENGINE.extract(talk(f"ann: {said}"))
    assert [atom.title for atom in extraction.atoms] == [titled]


def test_an_abbreviation_ends_no_sentence() -> None:
    """What follows 'вул.' or 'approx.' belongs to it, also where a title is cut."""
    said = "заїзд на склад із боку вул. Садової, бо головні ворота перекопали"
    assert sentences(said) == [said]
    assert "Садової" in shorten(said + " на два тижні, а другі ще не відчинили після зими")
    assert sentences("it takes approx. two days. then ask") == [
        "it takes approx. two days.",
        "then ask",
    ]


def test_a_number_with_commas_is_one_word() -> None:
    """Thousands are not torn apart where a topic is named."""
    words = read(talk("ann: revenue of January was 31,420 at 3,9 V in all").messages)[0].words
    assert ("31,420" in words, "3,9" in words) == (True, False)


async def test_who_asked_and_found_out_answers() -> None:
    """What somebody learns themselves, long after they asked and in the words of the question, answers it."""
    asked = "ann: Does the printer in the west hall take parcels without a customs form?"
    found = (
        "ann: rang the printer's office: parcels from the west hall need a customs form since May"
    )
    extraction = await ENGINE.extract(talk(asked, found, seconds=1800))
    assert ids(extraction.atoms) == [[1], [2]]
    assert [(link.source, link.target) for link in extraction.links] == [(1, 0)]
    at_once = await ENGINE.extract(talk(asked, found, seconds=40))
    assert ids(at_once.atoms) == [[1, 2]]


async def test_who_tells_a_cause_and_asks_back_answers() -> None:
    """A reply that says something before it asks back stays a reply and raises nothing of its own."""
    extraction = await ENGINE.extract(
        talk(
            "ann: The label printer panics on startup with a permission error",
            "ben>1: the sandbox cannot read a settings folder that is a link. is yours a link?",
            "ann: yes, it points to the second disk",
            "ben: then copy the settings folder to the first disk",
        )
    )
    assert ids(extraction.atoms) == [[1, 3], [2, 4]]
    assert [atom.type for atom in extraction.atoms] == ["problem", "solution"]


async def test_prose_titles_trouble_before_a_log() -> None:
    """A line of a log with a file and a line number gives the title only where nothing else does."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the label printer 0.9.2 panics for me on startup:",
            "ann: thread 'main' panicked at src/config/loader.rs:88:41",
        )
    )
    assert [atom.title for atom in extraction.atoms] == [
        "The label printer 0.9.2 panics for me on startup"
    ]
