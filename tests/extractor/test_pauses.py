"""What comes after a pause or a thanks is another matter, and who says so in a slow chat belongs where they belong."""

import pytest

from services.extractor.grounded import GroundedEngine
from services.extractor.structure import Weights, parents
from services.extractor.utterances import automatic_speakers, read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()
KEYS = (
    "ann: Хто має ключ від холодильної шафи в їдальні?",
    "ben: ключ лежить підписаний у шухляді біля ваги",
)


def placed(*lines: str, seconds: int) -> list[int | None]:
    """For each line the position of the one that it goes on with."""
    return parents(read(talk(*lines, seconds=seconds).messages), Weights())


@pytest.mark.parametrize("thanks", ["ann: дякую!!", "ann: 👍", "ann: ок", "ann: thanks!"])
def test_nobody_goes_on_with_a_thanks(thanks: str) -> None:
    """What is said next to a thanks is no answer to it."""
    first, other = "cleo: склад відчинено", "cleo: молоко з минулої партії придатне до кінця жовтня"
    assert placed(first, *KEYS, thanks, other, seconds=40)[-1] != 3


def test_a_thanks_goes_on_with_a_thanks() -> None:
    """Who reacts to a reaction stays with it."""
    assert placed(*KEYS, "ann: дякую!!", "cleo: 👏", seconds=40)[-1] == 2


def test_after_a_pause_people_speak_of_something_else() -> None:
    """What shares no word with what was said long before goes on with nothing."""
    lines = ("ann: молоко придатне до жовтня", "ben: замок на воротах заїдає зранку")
    assert placed(*lines, seconds=60) == [None, 0]
    assert placed("cleo: o", "dan: o", "eva: o", *lines, seconds=400)[3:] == [None, 3]
    quick = talk("cleo: o", "dan: o", "eva: o", *lines, seconds=20)
    late = [*quick.messages[:4], talk(*(["x: o"] * 30), lines[1], seconds=20).messages[-1]]
    assert parents(read(late), Weights())[-1] is None


def test_an_answer_may_come_late() -> None:
    """A question waits: what is said next to it, however late, may answer it."""
    question, answer = "ann: О котрій приїде автобус на виставку?", "ben: водій казав пів на п'яту"
    assert placed("cleo: o", "dan: o", question, answer, seconds=340)[-1] == 2


async def test_a_newcomer_may_answer_a_question_at_once() -> None:
    """Who has not spoken and says other words than the question's right after it answers it."""
    window = talk(
        "ann: Порахувала стільці: у залі 112, у таблиці 140. Де решта?",
        "ben: їх забрали школярі в п'ятницю вночі і ніхто не вписав",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2]]


async def test_who_tells_trouble_does_not_answer_what_was_asked() -> None:
    """Trouble that shares no word with a question is a matter of its own, and what is said to it answers it."""
    window = talk(
        "cleo: Квитки для дитячої бібліотеки лежать у касі, тридцять дві штуки на травень",
        "ann: Можна спитати у дитячій бібліотеці, чи тридцяти двох квитків вистачить на травень",
        "ben: замок на воротах не закривається, заїдає язичок",
        "cleo: у мене є такий самий новий, привезу о третій",
    )
    extraction = await ENGINE.extract(window)
    assert ids(extraction.atoms)[-2:] == [[3], [4]]
    assert [atom.type for atom in extraction.atoms][-2:] == ["problem", "solution"]


async def test_a_guess_at_a_cause_is_no_trouble_of_its_own() -> None:
    """Who guesses why, in other words than the question's, still answers."""
    window = talk(
        "ann: Чому глядачам приходять по два квитки на ряд?",
        "ben: сервер мабуть завис уночі, коли продавали балкон",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2]]


async def test_who_asks_everybody_something_else_opens_a_matter() -> None:
    """A short question that shares no word with what was only told is not asked back."""
    window = talk(
        "ann: Закинула на осушувач для архіву двісті гривень зі своєї премії бібліотекаря",
        "ben: в середу пожежники о котрій приходять?",
        "cleo: о десятій, і вогнегасники мають бути заправлені до того",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2], [3]]


async def test_who_asked_and_was_answered_tells_something_else() -> None:
    """What a speaker tells after the answer to their question is not asked any more."""
    window = talk(
        "ann: Does anyone remember why the seat plan of the small hall is on paper?",
        "ben: it was drawn before we had the ticket system",
        "ann: the phone numbers and birthdays of all guests stand there in plain sight for visitors",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2], [3]]


async def test_who_only_takes_note_adds_nothing_to_their_matter() -> None:
    """Taking note of an answer in few words is no part of what was asked."""
    window = talk(
        "ann: Порахувала стільці: у залі 112, у таблиці 140. Де решта?",
        "ben: їх забрали школярі в п'ятницю вночі і ніхто не вписав",
        "ann: ок, впишу заднім числом",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2]]


async def test_what_one_did_about_trouble_is_apart_from_what_others_say() -> None:
    """The remedy of who raised the matter is a note of its own beside the others' answers."""
    window = talk(
        "ann: реєстрація зали закінчилась 15 травня, квитки не друкуються",
        "ben: її треба продовжувати щороку через відділ культури",
        "ann: подзвонила у відділ культури, обіцяють продовжити за два дні",
        seconds=200,
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2], [3]]


@pytest.mark.parametrize(
    "notice",
    [
        "[box-office] ann merged #412: move the seat plan to the new store",
        "[TIX-298] Статус змінено: In Review → Done (Анна)",
        "Change merged: ann; [tickets/seats] (main) - https://review.example.org/r/45957",
    ],
)
def test_one_notice_of_routine_is_a_programs(notice: str) -> None:
    """A single line of a program is known by its form and what it tells."""
    assert automatic_speakers(talk(f"bot: {notice}", "ann: o").messages) == {"bot"}


@pytest.mark.parametrize(
    "said",
    ["[ACTION] ann to deploy the seat plan by Friday", "[aside] is the build of the stage done?"],
)
def test_minutes_and_questions_are_peoples(said: str) -> None:
    """Lines of minutes and questions begin with brackets, too."""
    assert automatic_speakers(talk(f"ann: {said}", "ben: o").messages) == frozenset()


async def test_what_was_only_pasted_is_no_knowledge() -> None:
    """A structure with nothing said to it tells nobody anything."""
    pasted = '{ "hall": "small", "row": "seven", "seat": "eleven", "price": "fifteen", "guest": "school" }'
    assert not (await ENGINE.extract(talk(f"ann: {pasted}"))).atoms
