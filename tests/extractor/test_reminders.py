"""What is called to mind, what to do should something go wrong, and what everyday phrases settle."""

import pytest

from services.extractor.atom_types import heaviest, weigh
from services.extractor.utterances import read
from tests.extractor.conversation import kinds, talk


@pytest.mark.parametrize(
    "said",
    [
        "Reminder: badges for the warehouse are ordered from Petra by mail. The old form does not work any more.",
        "Нагадую, як замовити перепустку на склад: напишіть Петрі листа. Стара форма більше не працює.",
        "Напоминаю, как заказать пропуск на склад: напишите письмо Петре. Старая форма больше не работает.",
    ],
)
async def test_what_a_reminder_says_does_not_work_any_more_is_no_trouble(said: str) -> None:
    """It is a rule, with what it replaces."""
    assert await kinds(f"ann: {said}") == ["requirement"]


async def test_trouble_after_a_reminder_is_a_matter_of_its_own() -> None:
    """Somebody else's trouble answers no reminder, though both name a place."""
    lines = (
        "ann: Нагадую, як замовити перепустку на склад: напишіть Петрі листа. Стара форма більше не працює.",
        "ben: Ваги на складі показують більше 300 кг на порожній платформі. Зважувати неможливо.",
        "eve: Тоді спробуй калібрування, інструкція в шафі",
    )
    assert await kinds(*lines, seconds=600) == ["requirement", "problem", "solution"]


@pytest.mark.parametrize(
    "said",
    [
        "If the scanner does not connect after a restart: remove it from the list and pair it again.",
        "Якщо сканер не підключається після перезапуску: видаліть його зі списку і додайте знову.",
        "Если сканер не подключается после перезапуска: удалите его из списка и добавьте снова.",
    ],
)
async def test_what_to_do_should_something_go_wrong_is_a_solution(said: str) -> None:
    """It has not gone wrong, and nobody warns of it."""
    assert await kinds(f"ann: {said}") == ["solution"]


async def test_what_goes_wrong_under_a_condition_stays_a_risk() -> None:
    """Nothing is said to be done about it."""
    assert await kinds("ann: If the scanner loses power during the update, it fails for good.") == [
        "risk"
    ]


async def test_who_settles_it_decides() -> None:
    """An answer that begins so is a decision, however it goes on."""
    lines = (
        "ann: The couriers ask how many parcels fit on one route. What do we tell them?",
        "ben: Let's settle it: 60 parcels a route, 80 before holidays.",
    )
    assert (await kinds(*lines))[-1] == "decision"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Можна поставити другий насос як тимчасове рішення.", "insight"),
        ("Рішення прийняте: другий насос ставимо у квітні.", "decision"),
    ],
)
def test_a_way_out_that_is_called_so_in_ukrainian_is_no_decision(said: str, expected: str) -> None:
    """The word for a solution is that for a decision; what is said of it tells which."""
    assert heaviest(weigh(read(talk(f"ann: {said}").messages), "statement")) == expected
