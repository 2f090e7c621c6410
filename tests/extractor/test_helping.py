"""Who helps whom in interleaved talk, what programs repeat, and what is said of asking."""

import pytest

from services.extractor import courtesies
from services.extractor.atom_types import heaviest, weigh
from services.extractor.grounded import GroundedEngine
from services.extractor.utterances import automatic_speakers, read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


async def test_advice_that_worked_is_the_remedy() -> None:
    """Who asked to find out, and advised what then worked, told a solution and no question."""
    extraction = await ENGINE.extract(
        talk(
            "ann: which player do you open the recording with?",
            "ben: the one that came with the desktop",
            "ann: sudo apt-get install ffmpeg",
            "ann: then play the recording with ffplay from a terminal",
            "ben: ann: it works",
            seconds=20,
        )
    )
    solutions = [atom for atom in extraction.atoms if atom.type == "solution"]
    assert ids(solutions) == [[3, 4, 5]]


async def test_who_says_back_what_they_understood_confirms_the_answer() -> None:
    """What somebody says back belongs to the answer, not to the question."""
    extraction = await ENGINE.extract(
        talk(
            "ann: How can the wiki connect to the database through a socket?",
            "ben: ann: localhost as the server means the socket, an address means the network",
            "ann: so i can just leave localhost",
            seconds=20,
        )
    )
    assert ids(extraction.atoms) == [[1], [2, 3]]


async def test_a_package_is_an_answer_by_its_name_alone() -> None:
    """One word answers if it names a package."""
    extraction = await ENGINE.extract(
        talk(
            "ann: ben: what was the network tool called you told me to install?",
            "ben: ann: network-manager-gnome",
            seconds=20,
        )
    )
    assert ids(extraction.atoms) == [[1], [2]]


def test_a_notice_with_a_repository_and_a_branch_is_a_programs() -> None:
    """What ends with a link behind a repository and its branch is a program's."""
    said = "relay: Change merged: ann; [docs] (main) - https://review.example.com/r/46186"
    assert automatic_speakers(talk(said).messages) == {"relay"}


async def test_what_programs_say_again_and_again_matters() -> None:
    """Three notices of one subject are a report, one is not."""
    line = "bugs: 03(mod) Thumbnails of replaced pictures stay in the cache - https://bugs.example.com/41130"
    other = "bugs: 03(mod) Signature button inserts a stray blank at the end - https://bugs.example.com/5"
    extraction = await ENGINE.extract(
        talk(f"{line} +comment (ann)", other, f"{line} (ben)", f"{line} +comment (cleo)")
    )
    assert ids(extraction.atoms) == [[1, 3, 4]]


def test_who_tells_others_just_to_ask_tells_nothing() -> None:
    """That one may ask is no knowledge; what to ask whom for is."""
    for said in ("just ask your question", "Don't ask to ask.", "просто питайте"):
        assert courtesies.is_bare(said), said
    assert not courtesies.is_bare("just ask the treasurer for the key of the safe")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("If the heating stays off past Sunday the choir won't come to the church", "risk"),
        ("Якщо опалення не ввімкнуть, пожежники закриють зал і хор лишиться надворі", "risk"),
        (
            "After ten every floor has one grown-up on duty, no exceptions for the weekend",
            "requirement",
        ),
        ("Після десятої на кожному поверсі один дорослий, без винятків", "requirement"),
        ("The rule is that paint stays in the yard over night", "requirement"),
    ],
)
def test_what_is_at_stake_and_what_holds(said: str, expected: str) -> None:
    """Harm under a condition is a risk, what allows no exception a requirement."""
    assert heaviest(weigh(read(talk(f"ann: {said}").messages), "statement")) == expected
