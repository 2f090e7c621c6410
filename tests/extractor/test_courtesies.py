"""What only carries talk on: told by its form, in three languages, and never taken for knowledge."""

import pytest

from services.extractor.courtesies import is_bare, says_nothing, telling
from services.extractor.extraction import Extraction
from services.extractor.grounded import GroundedEngine
from services.extractor.titles import content
from services.extractor.utterances import read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


@pytest.mark.parametrize(
    "said",
    [
        "could someone take a look please?",
        "can you check this when you have a minute?",
        "@gardener ping",
        "I'd like to ask a question",
        "great, thanks a lot everyone!",
        "yes, absolutely, that is true",
        "ok, will do",
        "I'll pass it on to accounting",
        "можеш глянути, будь ласка?",
        "@sadivnyk подивись, коли буде час",
        "щиро дякую, колеги!",
        "так, згоден",
        "добре, гляну трохи пізніше",
        "передам бухгалтерії",
        "посмотри, пожалуйста",
        "можешь проверить, когда будет время?",
        "большое спасибо, коллеги!",
        "хорошо, сделаю",
    ],
)
def test_talk_about_talk_is_bare(said: str) -> None:
    """Requests to look, pings, thanks, agreement and promises without an object tell nothing."""
    assert is_bare(said)
    assert says_nothing(said)


@pytest.mark.parametrize(
    "said",
    [
        "could someone check the pump in greenhouse 3?",
        "look at the pressure of the second valve",
        "why is the pressure so low?",
        "what do we tell them?",
        "it works now, thanks!",
        "agreed: two valves a row",
        "I'll check the second pump tomorrow",
        "зроблю нову схему поливу до п'ятниці",
        "як це перевірити?",
        "глянь журнал насоса",
        "проверь давление во втором клапане",
        "port 5433",
        "see https://farm.example/valves",
    ],
)
def test_what_names_a_matter_is_not_bare(said: str) -> None:
    """A thing, a number, a link, a reason asked for, a day or the news that it helped is more than talk."""
    assert not is_bare(said)


def test_only_what_tells_nothing_is_left_out() -> None:
    """Sentences that tell are kept in order; a text without one is kept whole."""
    assert telling("Good catch. The valve was open. Can you check?") == "The valve was open."
    assert telling("Thanks a lot. Will do!") == "Thanks a lot. Will do!"


@pytest.mark.parametrize(
    "lines",
    [
        ("ann: anyone up for a barbecue by the river?", "bob: only if somebody else grills"),
        (
            "ann: the ticket is closed now",
            "ann: could someone take a look please?",
            "bob: ok, will do",
        ),
        ("Ганна: @bohdan глянеш?", "bohdan: так, дивлюся", "Ганна: дякую!"),
        ("Анна: кто идёт на шашлыки?", "Богдан: я за", "Анна: посмотри, пожалуйста"),
    ],
)
async def test_talk_about_talk_gives_no_atom(lines: tuple[str, ...]) -> None:
    """Neither a bare request nor an invitation is knowledge, nor what is said back in a few words."""
    assert (await ENGINE.extract(talk(*lines))).atoms == Extraction().atoms


async def test_a_request_to_look_does_not_make_a_question() -> None:
    """What is told beside such a request is titled and typed by what it tells."""
    said = "ann: The second pump of greenhouse 3 loses pressure every night since the frost. @bob can you look?"
    atoms = (await ENGINE.extract(talk(said, "bob: looking"))).atoms
    assert ids(atoms) == [[1]]
    assert atoms[0].type != "question"
    assert atoms[0].title.startswith("The second pump of greenhouse 3 loses pressure")
    assert "can you look" not in atoms[0].content


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("ann: and the second valve leaks",), "ann: The second valve leaks"),
        (("ann: @bob, the second valve leaks",), "ann: the second valve leaks"),
        (("Ганна: отже, другий клапан тече",), "Ганна: Другий клапан тече"),
        (("Анна: итак, второй клапан течёт",), "Анна: Второй клапан течёт"),
        (
            ("ann: the valve leaks", "ann: because the seal is old"),
            "ann: the valve leaks because the seal is old",
        ),
        (("Ганна: а якщо насос лишити на ніч?",), "Ганна: а якщо насос лишити на ніч?"),
        (("ann: [ACTION] bob to order two seals",), "ann: [ACTION] bob to order two seals"),
    ],
)
def test_contents_read_by_themselves(lines: tuple[str, ...], told: str) -> None:
    """A content opens with what is told, and one sentence in two messages is one sentence."""
    assert content(read(talk(*lines).messages)) == told
