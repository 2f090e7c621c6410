"""Hybrid searches that name somebody: what they wrote comes before what only mentions them, and nothing is left out."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.common.vectors import Matrix
from tests.search.asking import call
from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

QUERY = "what did Olena decide about the release"
MENTIONS = ("Olena asked what the release needs", "ask Olena about the release", "Olena is away")
DECISION = "the release goes out on thursday"


async def write(desk: Desk, author: str, said: Sequence[str], vectors: Sequence[Matrix]) -> None:
    """Save messages of an author, each in a thread of its own, so that none lends another anything."""
    library = desk.library
    for text, vector in zip(said, vectors, strict=True):
        fields = {"author_external_id": author.casefold(), "author_name": author}
        await library.add_message(text, vector, thread_id=text, **fields)


async def search(desk: Desk, query: str, **fields: object) -> list[str]:
    """Search by words and a vector that all messages are equally near to."""
    reply = await desk.client.search(query, query_vector=unit(1).tolist(), **fields)
    return texts(reply)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Olena", QUERY),
        ("Olena Marchuk", "olena's decision on the release"),
        ("Олена Марчук", QUERY),
        ("Олена Марчук", "що вирішила Олена про release"),
        ("Olena Marchuk", "рішення Олени про release"),
    ],
)
async def test_what_somebody_wrote_comes_before_what_mentions_them(
    desk: Desk, name: str, query: str
) -> None:
    """Who is named, in either script and any case, must be found by what they wrote of it, and mentions stay."""
    await write(desk, "Bob", MENTIONS, [unit(1, 0.1)] * 3)
    await write(desk, name, [DECISION], [unit(1, 0.1)])
    await write(desk, "Eve", ["the release is late"], [unit(1, 0.1)])
    found = await search(desk, query)
    assert found[0] == DECISION
    assert set(found) == {*MENTIONS, DECISION, "the release is late"}


async def test_what_they_wrote_is_found_beyond_the_best_candidates(desk: Desk) -> None:
    """In a workspace where very much has the other words, what the named one wrote must still come first."""
    library = desk.library
    crowd = [f"release note {i}" for i in range(600)]
    await library.add_messages(crowd, author_external_id="bot", author_name="Bob")
    long = "after the review of all that is open we move the release by one week, to be safe"
    await library.add_message(
        long, author_external_id="o", author_name="Olena", sent_at=START - timedelta(days=2)
    )
    assert (await search(desk, QUERY))[0] == long


async def test_an_ordinary_word_is_no_name(desk: Desk) -> None:
    """Whoever is called Will or Надія, what asks with that word must find what it found without them."""
    said = ["the release will be late", "надія на release є"]
    await write(desk, "Bob", said, [unit(1, 0.1)] * 2)
    await write(desk, "Will", ["the release, again"], [unit(1, 0.1)])
    await write(desk, "Надія", ["release!!"], [unit(1, 0.1)])
    assert (await search(desk, "will the release be late"))[0] == said[0]
    assert (await search(desk, "яка надія на release"))[0] == said[1]
    assert (await search(desk, "what does Will say of the release"))[0] == "the release, again"


@pytest.mark.parametrize("query", ["Olena", "what do we know about Olena?", "що відомо про Olena?"])
async def test_a_name_alone_asks_for_what_mentions_it(desk: Desk, query: str) -> None:
    """Who types nothing but a name must find the messages that have it first, as with any other word."""
    await write(desk, "Olena", [DECISION, "lunch"], [unit(1, 0.1)] * 2)
    await write(desk, "Bob", ["Olena is away"], [unit(1, 0.1)])
    assert (await search(desk, query))[0] == "Olena is away"


@pytest.mark.parametrize(
    ("name", "mention", "query"),
    [
        ("Tom Hughes", "Tom is away", "що відомо про Тома?"),
        ("Priya", "priya is away", "що Прія знає про відпустку"),
        ("Ян", "Ян у відпустці", "what do we know about Ian?"),
    ],
)
async def test_short_names_are_found_in_the_letters_that_they_are_written_in(
    desk: Desk, name: str, mention: str, query: str
) -> None:
    """Who is called so is found where they are mentioned, in whichever script their name is and the query."""
    await write(desk, "Bob", ["lunch", mention, "the release is late"], [unit(1, 0.1)] * 3)
    await write(desk, name, ["hello"], [unit(0, 1)])
    reply = await desk.client.search(query, query_vector=unit(1).tolist())
    assert {each.message.text for each in reply.results if each.keyword.rank} >= {mention}
    assert texts(reply)[0] == mention


async def test_a_name_that_nobody_mentions_is_not_taken_for_a_slip(desk: Desk) -> None:
    """A word that occurs in no message but names an author must not be corrected, and covers its part of the query."""
    await write(desk, "Bob", ["olenka wrote the release notes"], [unit(1, 0.1)])
    await write(desk, "Olenna", [DECISION], [unit(1, 0.1)])
    reply = await desk.client.search("olenna release", query_vector=unit(1).tolist())
    assert not reply.warnings
    assert texts(reply)[0] == DECISION
    packed = await call(
        desk,
        "PackContext",
        pb.PackContextRequest(query="olenna release", query_vector=unit(1).tolist()),
    )
    assert packed.coverage == pytest.approx(1)


async def test_a_filter_decides_who_wrote_it(desk: Desk) -> None:
    """Where authors are chosen by a filter, a name in the query must find who mentions it."""
    await write(desk, "Bob", MENTIONS, [unit(1, 0.1)] * 3)
    await write(desk, "Olena", [DECISION], [unit(1, 0.1)])
    chosen = pb.SearchFilter(author_external_ids=["bob"])
    assert set(await search(desk, QUERY, filter=chosen)) == set(MENTIONS)


async def test_an_atom_is_theirs_if_it_rests_on_what_they_wrote(desk: Desk) -> None:
    """Of two atoms alike that of the named one must come first."""
    library = desk.library
    for name in ("Bob", "Olena"):
        said = f"thursday, says {name[0]}"
        message = await library.add_message(said, author_external_id=name, author_name=name)
        await library.add_atom(f"Release on thursday ({name[0]})", "the release", [message])
    reply = await desk.client.search(
        QUERY, query_vector=unit(1).tolist(), kinds=[types.SUBJECT_KIND_ATOM]
    )
    assert [each.atom.title for each in reply.results] == [
        "Release on thursday (O)",
        "Release on thursday (B)",
    ]


async def test_pages_go_on_where_somebody_is_named(desk: Desk) -> None:
    """Two pages must hold what one would, in its order."""
    await write(desk, "Bob", MENTIONS, [unit(1, 0.1)] * 3)
    await write(desk, "Olena", [DECISION, "no release today"], [unit(1, 0.1)] * 2)
    vector = unit(1).tolist()
    whole = texts(await desk.client.search(QUERY, query_vector=vector))
    first = await desk.client.search(QUERY, query_vector=vector, page_size=2)
    rest = await desk.client.search(
        QUERY, query_vector=vector, page_size=9, page_token=first.next_page_token
    )
    assert [*texts(first), *texts(rest)] == whole


async def test_what_is_packed_tells_what_is_theirs_and_has_the_words_itself(desk: Desk) -> None:
    """What is by or about who is named must be told from what others said, and its own words from those around it."""
    library = desk.library
    said = {"Bob": "the release goes out on thursday", "Olena": "fine", "Eve": "ask Olena, release"}
    for author, text in said.items():
        fields = {"author_external_id": author, "author_name": author, "thread_id": "a"}
        message = await library.add_message(text, unit(1, 0.1), **fields)
        if author == "Olena":
            await library.add_atom("Agreed", "it is agreed", [message], unit(1, 0.1))
    request = pb.PackContextRequest(query=QUERY, query_vector=unit(1).tolist())
    reply = await call(desk, "PackContext", request)
    assert list(reply.named_words) == ["Olena"]
    found = {
        each.result.message.text or each.result.atom.title: (
            each.concerns_named,
            each.own_words > 0,
            each.words > 0,
        )
        for each in reply.items
    }
    assert found[said["Bob"]] == (False, True, True)
    assert found[said["Eve"]] == (True, True, True)
    assert found.get(said["Olena"], found.get("Agreed")) == (True, False, True)
    for request.query in ("release on thursday", "what do we know about Olena"):
        reply = await call(desk, "PackContext", request)
        assert not reply.named_words
        assert not any(each.concerns_named or each.own_words for each in reply.items)


@pytest.mark.parametrize(
    ("author", "fields", "concerns"),
    [
        ("Боб", {"text": "Дмитро просив про release у четвер"}, True),
        ("Боб", {"text": "release у четвер"}, False),
        ("Боб", {"forwarded_from": '{"external_id": "", "name": "Дмитро К."}'}, True),
        ("Боб", {"forwarded_from": '{"external_id": "дмитро", "name": ""}'}, True),
        ("Боб", {"forwarded_from": '{"external_id": "x", "name": "Ева"}'}, False),
    ],
)
async def test_what_is_packed_concerns_who_is_named_in_any_case_and_by_forwarding(
    desk: Desk, author: str, fields: dict[str, str], concerns: bool
) -> None:
    """Whom a question has in a case is mentioned in another, and what is forwarded from them is theirs."""
    await write(desk, "Дмитро", ["обід"], [unit(0, 1)])
    said = {"text": "release у четвер", **fields}
    said |= {"author_external_id": author.casefold(), "author_name": author}
    await desk.library.add_message(said.pop("text"), unit(1, 0.1), **said)
    query = "що відповіли Дмитрові про release"
    request = pb.PackContextRequest(query=query, query_vector=unit(1).tolist())
    reply = await call(desk, "PackContext", request)
    assert list(reply.named_words) == ["Дмитрові"]
    found = {each.result.message.author.name: each.concerns_named for each in reply.items}
    assert found[author] is concerns


async def test_words_that_only_tell_that_it_was_said_ask_for_nothing_more(desk: Desk) -> None:
    """Whoever said anything has all that is asked where nothing else is."""
    await write(desk, "Olena", ["the release is late", "I said so"], [unit(1, 0.1)] * 2)
    request = pb.PackContextRequest(query="what did Olena say", query_vector=unit(1).tolist())
    reply = await call(desk, "PackContext", request)
    assert [each.own_words for each in reply.items] == [1, 1]


async def test_an_explanation_tells_names_from_words(desk: Desk) -> None:
    """What was taken for a name must be told, and nothing be one where a filter says who wrote it."""
    await write(desk, "Olena", [DECISION], [unit(1, 0.1)])
    fields = {"query_vector": unit(1).tolist(), "explain": True}
    reply = await desk.client.search(QUERY, **fields)
    assert {term.text: term.is_name for term in reply.explanation.terms} == {
        "Olena": True,
        "decide": False,
        "release": False,
    }
    chosen = pb.SearchFilter(author_external_ids=["olena"])
    reply = await desk.client.search(QUERY, filter=chosen, **fields)
    assert not any(term.is_name for term in reply.explanation.terms)
