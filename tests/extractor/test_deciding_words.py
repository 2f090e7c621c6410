"""Words of deciding and of when: what was settled is a decision in every language that is covered."""

import pytest

from services.extractor import cues
from services.extractor.atom_types import heaviest, weigh
from services.extractor.grounded import GroundedEngine
from services.extractor.titles import title
from services.extractor.utterances import read
from tests.extractor.conversation import talk


@pytest.mark.parametrize(
    "said",
    [
        "Погоджено: склад переїжджає до північного крила",
        "Графік чергувань затверджено без змін",
        "Графік чергувань погоджено без змін",
        "Тоді рішення таке, архів лишається в підвалі",
        "Переезд склада согласовано с охраной",
        "График дежурств утверждено без изменений",
        "Тогда решение такое: архив остаётся в подвале",
    ],
)
def test_what_was_settled_is_a_decision(said: str) -> None:
    """Who says that something was settled tells a decision, which stands by itself."""
    (told,) = read(talk(f"ann: {said}").messages)
    assert told.declares
    assert heaviest(weigh([told], "statement")) == "decision"


@pytest.mark.parametrize(
    "said",
    [
        "На виставку не їдемо, місце віддаємо сусідам",
        "Добре, ключі лишаємо на вахті",
        "С понедельника переносим приёмку во двор",
        "Оплату картой возвращаем, но без чаевых",
    ],
)
def test_what_many_are_going_to_do_is_a_decision(said: str) -> None:
    """Who tells in the present what all of them do from now on tells a plan or a rule."""
    (told,) = read(talk(f"ann: {said}").messages)
    assert told.plans
    assert heaviest(weigh([told], "statement")) == "decision"


@pytest.mark.parametrize(
    "said",
    [
        "Ключі лишаємо на вахті?",
        "Якщо лишаємо ключі на вахті, треба попередити охорону",
        "Чекаємо на майстра і поки не знаємо, що з котлом",
        "Бачимо чергу біля складу і не встигаємо",
        "Ждём мастера и пока не знаем, что с котлом",
        "Це окремо від решти, з новим готовим текстом",
    ],
)
def test_what_many_see_ask_or_wait_for_is_no_plan(said: str) -> None:
    """A question, a condition, and what one knows, sees or waits for decide nothing."""
    (told,) = read(talk(f"ann: {said}").messages)
    assert not told.plans


async def test_a_plan_in_few_words_is_kept() -> None:
    """What follows from what another told is often said in few words, and is what people look for."""
    window = talk(
        "ann: Щодо котельні: після перезапуску всі датчики мовчать до ранку, бо резервного живлення в них немає",
        "ben: Згоден, датчики поки лишаємо в ангарі, повернемось до цього в червні",
    )
    found = await GroundedEngine().extract(window)
    assert [each.message_ids for each in found.atoms if each.type == "decision"] == [(2,)]


def test_who_decides_and_then_asks_somebody_has_decided() -> None:
    """The question at the end hands out the task; what was decided stands before it."""
    (told,) = read(talk("ann: Добре, ключі лишаємо на вахті. Бене, скажеш охороні?").messages)
    assert heaviest(weigh([told], "raised")) == "decision"
    (asked,) = read(talk("ann: Ключі лежать на вахті. Бене, скажеш охороні?").messages)
    assert heaviest(weigh([asked], "raised")) == "question"


@pytest.mark.parametrize(
    "said",
    [
        "We release the app on Wednesday May 13",
        "We open on Saturdays from March",
        "I plan to paint the hall in July",
        "Ми плануємо перевезти шафи з 15 вересня",
        "Мы планируем перевезти шкафы до 1 ноября",
    ],
)
def test_months_tell_when(said: str) -> None:
    """A month, with its day or without, says by when, as weekdays do."""
    assert cues.commits(said)


@pytest.mark.parametrize(
    "said",
    [
        "Я планую зробити опис архіву до неділі",
        "Ми плануємо перевезти шафи в суботу",
        "Мы планируем перевезти шкафы в воскресенье",
        "Я планирую описать архив к 16:30",
        "Ми плануємо перевезти шафи до 11.10",
        "We are planning to move the cabinets by 16:30",
    ],
)
def test_a_plan_with_its_time_is_a_task_taken(said: str) -> None:
    """Weekends, dates and times of the day say by when, as working days do."""
    assert cues.commits(said)


@pytest.mark.parametrize(
    "said", ["Ми плануємо перейти на 3.11", "We are planning to move to 3.11", "I plan to read until 11.10.2"]
)  # fmt: skip
def test_a_version_is_no_date(said: str) -> None:
    """Numbers are a date only where something lasts or is due until then, and of two parts."""
    assert not cues.commits(said)


def test_a_decision_of_figures_is_titled_by_itself() -> None:
    """That a sentence is half figures does not take its title away where it says what was decided."""
    lines = (
        "ann: The cheap carrier loses about nine parcels of every thousand in the mountains every winter, mostly small "
        "boxes of glass whose labels fall off.",
        "ann: We decided: 12.5 % / 40 UAH (7:30–18:45, +380 44 000-00-00, 1–31.12).",
    )
    found = read(talk(*lines).messages)
    assert title(found, lambda _: 1.0, mark=cues.SETTLED).startswith("We decided: 12.5")
