"""Trouble of daily work, told in words that no program's trouble is told in, or told by how others take it."""

import pytest

from services.extractor import cues
from services.extractor.grounded import GroundedEngine
from tests.extractor.conversation import ids, kinds, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    "said",
    [
        "the tap in the museum cloakroom drips since Monday morning",
        "the scale in the parcel room shows 3 kg instead of 5",
        "the heater in the reading room only gets to twelve degrees",
        "the fork-lift keeps beeping while it stands in the yard",
        "у гардеробі музею капає кран біля вікна",
        "ваги в кімнаті посилок показують 3 кг замість 5",
        "перила на сходах до архіву хитаються зранку",
        "нічний сторож захворів, завтра вночі музей без охорони",
        "в гардеробе музея капает кран у окна",
        "весы в комнате посылок показывают 3 кг вместо 5",
        "погрузчик во дворе барахлит второй день подряд",
    ],
)
async def test_trouble_of_daily_work_is_a_problem(said: str) -> None:
    """What leaks, wobbles, comes to less than it should or falls ill is trouble, by one such word."""
    assert await kinds(f"ann: {said}") == ["problem"]


@pytest.mark.parametrize(
    "said",
    [
        "у залі багато місця для виставки, зміститься сорок стендів",
        "працюємо щодня без винятків і без проблем, як домовлялись",
        "the crates arrived on Tuesday, all forty, no problem with customs at the border",
        "перила не скриплять, навіть коли на них спираються двоє",
    ],
)
def test_what_only_sounds_like_trouble_is_none(said: str) -> None:
    """Words that begin alike, and trouble that is denied, are no trouble."""
    assert not cues.PROBLEM.search(said)


@pytest.mark.parametrize(
    ("told", "ordered"),
    [
        (
            "the meter in the cellar shows five volts on every wire, also on the rope",
            "the left clamp is old, use the right one",
        ),
        (
            "лічильник у підвалі показує п'ять вольт на кожному дроті, і на мотузці також",
            "ліва клема стара, візьміть праву",
        ),
    ],
)
async def test_what_others_say_what_to_do_about_is_trouble(told: str, ordered: str) -> None:
    """Trouble that is told in no word of it is known by its answer."""
    assert await kinds(f"ann: {told}", f"ben: {ordered}") == ["problem", "solution"]


async def test_who_did_what_they_were_told_confirms_it() -> None:
    """That it was done belongs to what was to be done."""
    extraction = await ENGINE.extract(
        talk(
            "ann: мука від нового млина прийшла волога, два мішки злиплись",
            "ben: сфотографуй мішки і надішли млину сьогодні",
            "ann: зробила, надіслала",
            seconds=240,
        )
    )
    assert ids(extraction.atoms) == [[1], [2, 3]]


async def test_what_did_not_help_belongs_to_the_trouble() -> None:
    """Who did what they were told, in vain, has found no remedy."""
    extraction = await ENGINE.extract(
        talk(
            "ann: термінал на касі музею не приймає картки з обіду",
            "ben: перезавантажте роутер під сходами",
            "ann: перезавантажила, все одно",
            seconds=240,
        )
    )
    assert ids(extraction.atoms) == [[1, 3], [2]]


async def test_a_call_for_any_ideas_asks_nothing() -> None:
    """Who tells a failure and asks for ideas tells a failure."""
    said = "ann: Disk step error on the new laptops: https://paste.example.com/77 any ideas?"
    assert await kinds(said) == ["problem"]


async def test_a_finding_that_begins_with_then_decides_nothing() -> None:
    """Who concludes what is wrong says no what to do."""
    said = (
        "ann: the pump in the cellar pulls nine amperes at idle, last year it was four",
        "ben: then the fuse is missing, the box has an empty slot at number seven",
    )
    assert "decision" not in await kinds(*said)
