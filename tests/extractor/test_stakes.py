"""What is at stake: rules, risks, what holds things up, proposals, conclusions, and what is done about trouble."""

import pytest

from services.extractor import cues, stakes
from services.extractor.atom_types import Role, heaviest, weigh
from services.extractor.grounded import GroundedEngine
from services.extractor.utterances import read
from tests.extractor.conversation import talk

ENGINE = GroundedEngine()


def kind(said: str, role: Role = "statement", asked: str = "") -> str:
    """The type of what one person says, in answer to another where something was asked."""
    *heard, told = read(talk(*([f"ben: {asked}"] if asked else []), f"ann: {said}").messages)
    return heaviest(weigh([told], role, heard))


@pytest.mark.parametrize(
    "said",
    [
        "Нагадую: ключі від актової зали здаємо на вахту до сьомої",
        "На майбутнє: афіші друкуємо тільки через бухгалтерію, готівкою не можна",
        "Напоминаю: ключи от актового зала сдаём на вахту до семи",
        "На будущее: афиши печатаем только через бухгалтерию, наличными нельзя",
        "Reminder: every visitor must sign the book, otherwise the guard rejects them",
    ],
)
def test_what_is_called_to_mind_is_a_rule(said: str) -> None:
    """What "we" do under a rule decides nothing anew, and what a rule threatens with is no trouble."""
    assert kind(said) == "requirement"


def test_a_reminder_is_addressed_to_nobody() -> None:
    """The verb before a colon is no name."""
    (told,) = read(talk("ann: Нагадую: ключі здаємо на вахту").messages)
    assert told.addressee is None
    assert told.turns


@pytest.mark.parametrize(
    "said",
    [
        "If the new lock breaks during the fair we can't open the hall",
        "I'm a bit worried about the fair, the hall is booked twice that day",
        "Don't upgrade the till yet, the new release renames the tax fields",
        "Якщо не заберемо плівку до суботи — вона пропаде",
        "Ризик у тому, що оркестр не встигне приїхати",
        "Если не заберём плёнку до субботы, она пропадёт",
    ],
)
def test_what_may_go_wrong_is_a_risk(said: str) -> None:
    """Harm under a condition, and what somebody warns of, has not happened."""
    assert kind(said, "raised") == "risk"


def test_a_decision_with_its_reason_stays_one() -> None:
    """What many do, or else lose something, was decided."""
    said = "Тоді відправляємо афіші сьогодні, інакше втратимо місце на сцені"
    assert kind(said) == "decision"


@pytest.mark.parametrize(
    "said",
    [
        "Поки не здамо звіт 3.2 — зал не відкриють",
        "Пока не сдадим отчёт 3.2, зал не откроют",
        "We can't hang the posters until the wall is dry",
        "The painting waits till the wall is dry, until then I can't hang anything",
    ],
)
def test_what_waits_for_something_is_blocked(said: str) -> None:
    """What cannot be done until something else is, holds things up."""
    assert kind(said) == "blocker"


@pytest.mark.parametrize("said", ["Тільки щоб реклама не блокувала вхід до зали глядачам"])
def test_what_should_not_block_holds_nothing_up(said: str) -> None:
    """A wish that something may not stand in the way is no blocker."""
    assert not cues.BLOCKER.search(said)


@pytest.mark.parametrize(
    "said",
    [
        "Пропоную купити другий проєктор, у крамниці він коштує 7000",
        "Може повісити афішу ще й на дверях бібліотеки, щоб усі бачили?",
        "А давайте зробимо чергування по двоє?",
        "Батьки, а давайте почепимо гірлянду на ялинку у дворі?",
        "А якщо розкласти внески на три місяці?",
        "Пропоную поставити камеру на вхід, за місяць двічі поцупили велосипеди",
        "Может повесить афишу ещё и на дверях библиотеки?",
        "I propose buying a second projector, the shop has one for 300",
    ],
)
def test_what_is_proposed_to_all_is_an_idea(said: str) -> None:
    """The verb of proposing, or "may" with an infinitive, proposes, asked or not."""
    assert kind(said, "raised") == "idea"


def test_what_one_may_do_or_be_proposes_nothing() -> None:
    """In "може бути" the verb is no proposal."""
    assert not cues.SUGGESTED.match("може бути пізно")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Should we paint the stage before the fair or after it?", "after it, the floor has to dry anyway"),
        ("Решту 10 стільців віддамо школі в Пустомитах?", "так, я їх завезу в четвер по дорозі"),
        ("Крок з підписом на вході точно потрібен?", "лишаємо, на вході питають підпис у кожного третього"),
    ],
)  # fmt: skip
def test_what_is_answered_to_a_question_of_what_to_do_is_decided(asked: str, said: str) -> None:
    """Who answers all of them what to do tells neither a fact nor a remedy."""
    assert kind(said, "reply", asked) == "decision"


def test_what_somebody_undertakes_when_something_is_proposed_is_decided() -> None:
    """Who takes another course than was proposed, or takes it up, settles it; an opinion does not."""
    asked = "Може поставити камеру в підвалі?"
    assert kind("поміняємо замок, ключ дам кожному, хто чергує", "reply", asked) == "decision"
    assert kind("поміняю замок, ключ буде в мене і в Сергія", "reply", asked) == "decision"
    assert kind("нормальний варіант, у сусідів така висить", "reply", asked) == "insight"


async def test_who_settles_for_all_what_several_said_tells_a_decision_of_its_own() -> None:
    """The conclusion of somebody else than who asked stands alone, too; advice settles nothing."""
    lines = (
        "ann: Чи мала хтось репетицію в малій залі цього тижня?",
        "ben: у вівторок репетиції не було, у залі фарбували стелю",
        "cleo: у четвер репетиції теж не було, там сохне підлога",
    )
    conclusion = "dan: Добре, тоді обидві репетиції в суботу: танці зранку, хор після обіду"
    found = (await ENGINE.extract(talk(*lines, conclusion))).atoms
    assert [atom.type for atom in found if atom.message_ids == (4,)] == ["decision"]
    advice = "dan: тоді спробуйте велику залу, вона сьогодні вільна до вечора"
    found = (await ENGINE.extract(talk(*lines, advice))).atoms
    assert "decision" not in [atom.type for atom in found]


def test_a_question_of_how_to_do_it_asks_for_a_way() -> None:
    """The answer to "how should we" is a solution."""
    way = kind("use the long ladder from the gym", "reply", "How should we reach the lamps?")
    assert way == "solution"


async def test_who_draws_the_conclusion_decides() -> None:
    """What somebody who asked concludes from the answers stands alone, as a decision does."""
    window = talk(
        "ann: Як пройшла репетиція?",
        "ben: нормально, але стільців привезли двадцять, тридцять лишилися в школі",
        "cleo: а глядачам ми обіцяли тридцять, і ще десять гостям",
        "ann: Тоді двадцять — глядачам, гостям лавки, як приїдуть",
    )
    found = {atom.message_ids: atom.type for atom in (await ENGINE.extract(window)).atoms}
    assert found[(4,)] == "decision"


@pytest.mark.parametrize(
    ("asked", "said", "expected"),
    [
        ("Шафа в гримерці зігнулась", "зігнулась бо нагору поклали всі декорації", "insight"),
        ("Вода в підвалі стоїть, не закривається вентиль", "прокладка лопнула, я таке бачив у школі", "insight"),
        ("Замок на сцені не закривається", "я такий самий куплю завтра в крамниці", "solution"),
        ("Замок на сцені не закривається", "подзвонив майстру, буде о п'ятій", "solution"),
        ("The stage lock doesn't close", "the spring broke because of the frost", "insight"),
        ("The stage lock doesn't close", "I'll bring the old one from the gym", "solution"),
    ],
)  # fmt: skip
def test_why_it_came_is_no_remedy_and_what_one_does_is(
    asked: str, said: str, expected: str
) -> None:
    """A cause is a fact that was found; what somebody does about trouble solves it, and decides nothing."""
    assert kind(said, "reply", asked) == expected


def test_a_diagnosis_for_one_person_answers_them() -> None:
    """Who is told the cause of their trouble has been helped."""
    heard, told = read(
        talk("ben: the stage lock fails with error 7", "ann: ben: that is a mismatch of the keys")
        .messages
    )  # fmt: skip
    assert heaviest(weigh([told], "reply", [heard])) == "solution"


async def test_what_somebody_undertakes_after_trouble_is_a_remedy() -> None:
    """Also where it opens a round of its own, for being told after a pause."""
    window = talk(
        "ann: Дах над сценою протікає, завіса промокла з лівого боку",
        "ben: сьогодні полізу почищу ринву над сценою, а мокру завісу перенесу до сухої гримерки",
        seconds=600,
    )
    types = [atom.type for atom in (await ENGINE.extract(window)).atoms]
    assert types == ["problem", "solution"]


def test_who_only_takes_note_is_told_from_who_objects() -> None:
    """Who goes on with a reason or an objection tells something."""
    assert stakes.NOTED.match("ок, впишу туди")
    assert not stakes.NOTED.match("ок, але їх три")
    assert not stakes.NOTED.match("ok, because I saw three")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Is anyone else getting the wrong hall on their ticket?", "problem"),
        ("У когось ще квитки приходять двома листами, по два на ряд?", "problem"),
        ("The ticket page asks for the row and then just hangs?", "problem"),
        ("Why does the ticket page hang after the row?", "question"),
    ],
)
def test_trouble_with_a_question_mark_is_trouble(said: str, expected: str) -> None:
    """Who asks whether others have it too, or puts a mark behind what fails, tells trouble; who asks why, asks."""
    assert kind(said, "raised") == expected


async def test_an_idea_is_titled_by_itself() -> None:
    """The sentence that proposes titles, though it has a question mark; pictures open no title."""
    window = talk("ann: 💡 Може додати до афіші опитування глядачів? хоч дізнаємось щось про смаки")
    (atom,) = (await ENGINE.extract(window)).atoms
    assert atom.title == "Може додати до афіші опитування глядачів?"
