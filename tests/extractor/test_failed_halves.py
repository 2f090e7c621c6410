"""A half of a window that a model does not read keeps what is known of its messages, and where they belong."""

from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from tests.conftest import Deployment
from tests.extractor.known import knowing
from tests.extractor.models import Answer, PlannedModel, answer
from tests.extractor.saved import change, say

BAD = Answer("no JSON")
LINES = (
    "The nightly backup fails because the archive disk of host db-2 is full",
    "We keep seven days of archives on db-2",
    "lunch at noon, salads from across the street",
    "Why does the proxy lose its certificate after every restart of the gateway?",
)


def item(number: int, line: int) -> dict[str, object]:
    """An atom in the words of a line, as the model would cite it under a number of its prompt."""
    words = LINES[line]
    return {"ids": [number], "quote": words, "type": "insight", "title": words, "content": words}


def topic(title: str, *numbers: int) -> dict[str, object]:
    """A topic of the messages with these numbers."""
    return {"title": title, "ids": list(numbers)}


async def test_a_failed_half_keeps_what_is_known_of_it(deployment: Deployment) -> None:
    """Of the half that the model read goes what it no longer says; what is known of the other stays; the run tells."""
    whole = answer(
        [item(1, 0), item(2, 1), item(3, 2), item(4, 3)],
        [topic("Archive disk of db-2", 1, 2), topic("Salads for lunch", 3)],
    )
    half = answer([item(1, 0)], [topic("Archive disk of db-2", 1, 2)])
    model = PlannedModel([whole, BAD, half, BAD])
    engine = GenerativeEngine(model, "planned", GroundedEngine())
    async with knowing(deployment, engine=engine, merges=False) as knowledge:
        _, said = await say(deployment, list(zip(("ann", "ann", "cat", "bob"), LINES, strict=True)))
        await knowledge.settled()
        before = await knowledge.live()
        assert set(before) == set(LINES)
        await change(deployment, said[0], text=f"{LINES[0]}.")
        await knowledge.settled()
        after = await knowledge.live()
        assert len(model.asked) == 4
        assert after[LINES[2]] == before[LINES[2]]
        assert after[LINES[0]].id == before[LINES[0]].id
        assert LINES[1] not in after
        # Structure has its own words for what it finds, and nothing is said twice.
        assert [a.messages for a in after.values()].count([said[3]]) == 1
    outcomes = await deployment.admin.fetch("select outcome from extractor.run order by id")
    assert [row["outcome"] for row in outcomes] == ["ok", "invalid"]
    kept = """select t.title from extractor.topic t join extractor.topic_message m on m.topic_id = t.id
              where t.retired_at is null and m.message_id = $1"""
    assert await deployment.admin.fetchval(kept, said[2]) == "Salads for lunch"
