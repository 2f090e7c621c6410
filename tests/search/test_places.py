"""Where a hybrid search puts what was replaced, what asks, and what was told to that."""

import pytest

from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.types.v1 import types_pb2 as types


async def test_what_no_longer_holds_comes_after_what_replaced_it(desk: Desk) -> None:
    """A message whose decision another one replaced is found after that, however much better it fits."""
    library = desk.library
    old = await library.add_message("we go to the autumn fair", unit(1), thread_id="a")
    new = await library.add_message("off it is, Ben is ill", unit(1, 2), thread_id="b")
    await library.add_message("a fair of books", unit(1, 9), thread_id="c")
    later = await library.add_atom("Off it is, Ben is ill", "", [new], type="decision")
    ends = {"type": "decision", "valid_to": START, "superseded_by": later}
    await library.add_atom("Go to the autumn fair", "", [old], **ends)
    query, vector = "do we go to the autumn fair", unit(1).tolist()
    kinds = [types.SUBJECT_KIND_MESSAGE]

    async def found() -> list[str]:
        response = await desk.client.search(query, query_vector=vector, kinds=kinds)
        return [text for text in texts(response) if "books" not in text]

    told = ["off it is, Ben is ill", "we go to the autumn fair"]
    assert await found() == told
    await library.add_atom("We go", "Beside what ended something holds.", [old])
    assert await found() == told[::-1]


async def test_an_answer_comes_before_the_question_that_resembles_what_is_asked(desk: Desk) -> None:
    """What was told to a question takes its place, among messages and among atoms; rejected, it does not."""
    library = desk.library
    asked = await library.add_message("how long is the oak cured", unit(1), thread_id="a")
    told = await library.add_message("nine weeks, then plane", unit(1, 3), thread_id="b")
    await library.add_message("the oak is here", unit(1, 1), thread_id="c")
    question = await library.add_atom("How long is the oak cured", "", [asked], type="question")
    reply = await library.add_atom("Nine weeks, then plane", "", [told], type="insight")
    await library.link(reply, question)
    query, vector = "how long is the oak cured", unit(1).tolist()

    async def found(kind: types.SubjectKind) -> list[str]:
        response = await desk.client.search(query, query_vector=vector, kinds=[kind])
        return [text for text in texts(response) if "here" not in text]

    first = ["nine weeks, then plane", "how long is the oak cured"]
    assert await found(types.SUBJECT_KIND_MESSAGE) == first
    await library.admin.execute(
        "update extractor.atom set approval_state = 'rejected' where id = $1", reply
    )
    assert await found(types.SUBJECT_KIND_MESSAGE) == first[::-1]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("OAK-4471", "OAK-4471 is how long the oak cures?"),
        (
            "how long is the oak cured",
            "how long is the oak cured if a barn stands open, has six tons, copper pipes, windows, doors, no roof",
        ),
    ],
)
async def test_what_tells_or_is_looked_for_keeps_its_place(
    desk: Desk, query: str, asked: str
) -> None:
    """What tells much itself must not come after what it was told, nor any message where one word is looked for."""
    library = desk.library
    first = await library.add_message(asked, unit(1), thread_id="a")
    told = await library.add_message("nine weeks, then plane", unit(1, 3), thread_id="b")
    question = await library.add_atom("How long does it cure", "", [first], type="question")
    await library.link(await library.add_atom("Nine weeks", "", [told], type="insight"), question)
    kinds = [types.SUBJECT_KIND_MESSAGE]
    found = await desk.client.search(query, query_vector=unit(1).tolist(), kinds=kinds)
    assert texts(found) == [asked, "nine weeks, then plane"]
