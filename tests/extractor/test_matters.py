"""One matter, one atom: who tells everybody something else answers nobody, and small talk is no knowledge."""

from dataclasses import replace

import pytest

from services.extractor.extraction import Window
from services.extractor.grounded import GroundedEngine
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    ("asked", "told", "other"),
    [
        (
            "Which drawer holds the spare badges for the archive room?",
            "The spare badges lie in the second drawer, behind the ledger",
            "fyi the archive copy runs an hour later from Monday, power work in the north wing",
        ),
        (
            "У якій шухляді лежать запасні перепустки до архіву?",
            "Запасні перепустки лежать у другій шухляді, за журналом",
            "Колеги, копія архіву з понеділка йде на годину пізніше, роботи з живленням",
        ),
        (
            "В каком ящике лежат запасные пропуска в архив?",
            "Запасные пропуска лежат во втором ящике, за журналом",
            "Всем внимание: копия архива с понедельника идёт на час позже, работы с питанием",
        ),
    ],
)
async def test_an_opening_to_everybody_opens_a_matter(asked: str, told: str, other: str) -> None:
    """Who calls for everybody's attention does not answer what was asked before."""
    extraction = await ENGINE.extract(talk(f"ann: {asked}", f"ben: {told}", f"cleo: {other}"))
    assert ids(extraction.atoms) == [[1], [2], [3]]


THANKED = (
    "cleo: Morning shift: the north gate opens at seven from Monday on",
    "ann: The archive import fails on row 40 with a broken header, what now?",
    "ben: Row 40 has a stray tab in its header, strip it with the cleaner first",
    "ann: thanks, that works!",
)


async def test_what_comes_after_the_thanks_is_another_matter() -> None:
    """Who took no part and shares no word with what was thanked for answers it no more."""
    other = "cleo: Lift two stays closed until Thursday, mechanics wait for cables from Odesa"
    extraction = await ENGINE.extract(talk(*THANKED, other))
    assert ids(extraction.atoms)[-1] == [5]
    assert [3, 4] in ids(extraction.atoms)


async def test_who_goes_on_after_the_thanks_goes_on() -> None:
    """What shares words with the matter, or is said by who answered, still belongs to it."""
    other = "cleo: The stray tab in such a header comes from the cleaner's old release"
    extraction = await ENGINE.extract(talk(*THANKED, other))
    assert [3, 4, 5] in ids(extraction.atoms)


def exchange(asked: str, told: str, label: str = "weak") -> Window:
    """A question and its answer, as the importance gate labelled them."""
    window = talk(f"ann: {asked}", f"ben: {told}")
    return replace(window, messages=tuple(replace(m, label=label) for m in window.messages))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("anyone watching the match on the big screen tonight?", "my cousin plays in goal for them"),
        ("хто дивиться матч на великому екрані ввечері?", "мій двоюрідний брат там воротар"),
        ("кто смотрит матч на большом экране вечером?", "мой двоюродный брат там вратарь"),
    ],
)  # fmt: skip
async def test_small_talk_with_a_question_mark_is_no_knowledge(asked: str, told: str) -> None:
    """A short exchange that names nothing and that the gate held for little makes no atom."""
    assert not (await ENGINE.extract(exchange(asked, told))).atoms
    assert (await ENGINE.extract(exchange(asked, told, "signal"))).atoms


async def test_a_short_exchange_that_names_something_is_kept() -> None:
    """A number, a link or a name in it is something to find again."""
    assert (
        await ENGINE.extract(exchange("which room has the big screen?", "room 12 has it, upstairs"))
    ).atoms
