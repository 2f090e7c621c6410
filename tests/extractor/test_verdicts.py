"""What is settled in a few words is a decision, and says what it settles."""

import pytest

from services.extractor.grounded import GroundedEngine
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    ("proposed", "liked", "settled"),
    [
        (
            "Maybe we sell postcards at the museum desk on Sundays?",
            "visitors asked me for some twice last week",
            "order thirty postcards for this Sunday",
        ),
        (
            "А може продаватимемо листівки на касі музею в неділю?",
            "відвідувачі двічі питали в мене минулого тижня",
            "замовте тридцять листівок на цю неділю",
        ),
        (
            "Может, будем продавать открытки на кассе музея в воскресенье?",
            "посетители дважды спрашивали у меня на прошлой неделе",
            "закажите тридцать открыток на это воскресенье",
        ),
    ],
)
async def test_who_says_what_to_do_about_a_proposal_settles_it(
    proposed: str, liked: str, settled: str
) -> None:
    """An order after a proposal is a decision, titled by itself and by what was proposed."""
    extraction = await ENGINE.extract(
        talk(f"ann: {proposed}", f"ben: {liked}", f"cleo: {settled}", seconds=240)
    )
    assert [atom.type for atom in extraction.atoms] == ["idea", "decision"]
    decision = extraction.atoms[1]
    assert 3 in decision.message_ids
    assert decision.title.startswith(settled[:1].upper() + settled[1:])
    assert "—" in decision.title


@pytest.mark.parametrize(
    ("asked", "told", "settled"),
    [
        (
            "for the stall: do we take the blue cloth or the green one?",
            "green, the blue one fades in the sun",
            "green it is, buying six metres",
        ),
        (
            "для ятки: беремо синю тканину чи зелену?",
            "зелену, синя вигоряє на сонці",
            "хай буде зелена, купую шість метрів",
        ),
    ],
)
async def test_who_left_a_choice_and_makes_it_decides(asked: str, told: str, settled: str) -> None:
    """The choice is one decision with its reason."""
    extraction = await ENGINE.extract(
        talk(f"ann: {asked}", f"ben: {told}", f"ann: {settled}", seconds=240)
    )
    decided = [atom for atom in extraction.atoms if atom.type == "decision"]
    assert ids(decided) == [[2, 3]]
    assert decided[0].title.startswith(settled[:1].upper() + settled[1:8])


async def test_what_is_ordered_once_the_price_is_known_is_decided() -> None:
    """The price is no part of the decision that follows from it."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the display case in the museum hall rattles whenever a tram goes by",
            "ben: how much is a carpenter?",
            "ann: forty for the visit and twenty an hour",
            "ben: call one for Thursday",
            seconds=300,
        )
    )
    assert [4] in ids([atom for atom in extraction.atoms if atom.type == "decision"])


async def test_who_takes_it_on_settles_who_does_it() -> None:
    """Who is wanted for a task, and who takes it, is one decision."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the school class from the village comes on Friday, who takes the tour of the cellar?",
            "ben: me, if it starts at ten",
            seconds=300,
        )
    )
    assert ids(extraction.atoms) == [[1, 2]]
    assert extraction.atoms[0].type == "decision"


async def test_an_order_about_trouble_is_a_remedy() -> None:
    """What somebody is told to do about trouble settles nothing else."""
    extraction = await ENGINE.extract(
        talk(
            "ann: the ticket printer at the museum desk doesn't print since noon",
            "ben: use the old one from the storage room",
            seconds=120,
        )
    )
    assert [atom.type for atom in extraction.atoms] == ["problem", "solution"]


async def test_a_proposal_to_do_it_another_way_is_an_idea() -> None:
    """Who asks for another way this time proposes it."""
    extraction = await ENGINE.extract(
        talk("ann: can we hang the banners along the river wall this time? the fence is too short")
    )
    assert [atom.type for atom in extraction.atoms] == ["idea"]
