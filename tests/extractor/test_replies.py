"""What is said back: a remedy where something failed or a way was asked for, else a fact or what was decided."""

import pytest

from services.extractor.grounded import GroundedEngine
from tests.extractor.conversation import talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    ("asked", "told", "kind"),
    [
        ("Who keeps the spare badge for the archive room?", "Marta keeps it in the drawer of room 12", "insight"),
        ("У кого запасна перепустка до архіву?", "Запасна перепустка висить у Марти, кімната 12", "insight"),
        ("Сколько стульев привезли в актовый зал вчера?", "Привезли сорок стульев и шесть столов", "insight"),
        ("Який день беремо для ярмарку в жовтні?", "Вирішили так: ярмарок робимо одинадцятого жовтня", "decision"),
        ("The archive import fails on row 40, what now?", "Row 40 has a stray tab, strip it first", "solution"),
        ("How do I rotate the archive key?", "The archive key rotates on every restart of the vault", "solution"),
        ("Who keeps the archive key?", "You should ask Marta for the archive key in room 12", "solution"),
    ],
)  # fmt: skip
async def test_an_answer_is_a_remedy_only_where_one_was_wanted(
    asked: str, told: str, kind: str
) -> None:
    """Nothing failed and nobody asked for a way: what is said back is no solution."""
    extraction = await ENGINE.extract(talk(f"ann: {asked}", f"ben: {told}"))
    assert [atom.type for atom in extraction.atoms if 2 in atom.message_ids] == [kind]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Хто чергує?", "Я чергую до понеділка, ключі від архіву в мене"),
        ("The archive import failed again. Who saw it?", "Marta saw it at 04:10 in the vault"),
        ("Архів падає щоночі. Коли останній раз?", "Останній раз у суботу о 04:10, файл архіву 12"),
        ("Копії архіву робимо щодня, правильно?", "Щодня о 3:00, перевіряли копії в березні"),
    ],
)  # fmt: skip
async def test_who_tells_who_when_or_how_much_tells_a_fact(asked: str, told: str) -> None:
    """So it is beside trouble, and also where the question itself says too little for an atom."""
    extraction = await ENGINE.extract(talk(f"ann: {asked}", f"ben: {told}"))
    assert [atom.type for atom in extraction.atoms if 2 in atom.message_ids] == ["insight"]


async def test_who_asks_who_can_help_wants_help() -> None:
    """Its answer is a remedy."""
    asked = "ann: The archive import fails on row 40. Who can help with it?"
    extraction = await ENGINE.extract(talk(asked, "ben: Row 40 has a stray tab, strip it first"))
    assert [atom.type for atom in extraction.atoms if 2 in atom.message_ids] == ["solution"]
