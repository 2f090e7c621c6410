"""`winnow search` and `winnow ask` as a person uses them, against a search that runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from services.cli.searching import ask
from services.cli.target import Target
from tests.cli.test_knowledge import Command
from tests.conftest import Deployment
from tests.search.library import Library, embedder, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1 import search_pb2_grpc


@dataclass
class Told:
    """A command over a few messages about a backup."""

    winnow: Command
    library: Library


@pytest.fixture
async def told(deployment: Deployment) -> AsyncIterator[Told]:
    """A search over a small chat, with an embedder that knows one question."""
    library = await Library(deployment.admin, deployment.workspace).open()
    assert library.generation
    near = {"author_external_id": "ann", "author_name": "Ann", "thread_id": "ops"}
    first = await library.add_message("The backup failed: disk full", unit(1), **near)
    await library.add_message("anyone for lunch?", unit(0, 1), thread_id="fun")
    topic = await library.add_topic("Backups", [first])
    await library.add_atom("Backup disk", "Is too small.", [first], unit(1, 0.2), topic_id=topic)
    known = {
        "why did the backup fail?": unit(1),
        "did db-7 fail?": unit(1),
        "did db-7 or db-9 fail?": unit(1),
        "capital of Mongolia?": unit(0, 0, 1),
        "what did Bob say of the backup?": unit(1),
    }
    async with embedder(deployment, library.generation, known), deployment.serving("search"):
        yield Told(Command(deployment), library)


async def test_conditions_groups_and_surroundings(told: Told) -> None:
    """Conditions must narrow, groups and neighbours must be shown, and a wrong condition be usage."""
    out = await told.winnow.said("search", "backup", "--where", "kind:message and author:ann")
    assert "The backup failed" in out
    assert "solution" not in out
    out = await told.winnow.said(
        "search", "backup", "--where", "not author:ann", "--mode", "keyword"
    )
    assert "nothing found" in out
    out = await told.winnow.said("search", "backup", "--group", "topic", "--mode", "keyword")
    assert "Backups (2)" in out
    out = await told.winnow.json("search", "backup", "--mode", "keyword", "--approval", "proposed")
    assert out["total_size"] == 2
    code, _, err = await told.winnow.run("search", "x", "--where", "colour:red")
    assert code == 2
    assert "no such name: colour" in err


async def test_times_that_leave_nothing_are_refused(told: Told) -> None:
    """Whoever mixes up the ends must hear of it, and not that nothing was found."""
    for command in (("search", "backup"), ("ask", "why?"), ("rescore", "--dry-run")):
        code, _, err = await told.winnow.run(
            *command, "--after", "2026-05-01", "--before", "2026-01-01"
        )
        assert (code, "is not before --before" in err) == (2, True)


async def test_a_search_goes_on_after_its_page(told: Told) -> None:
    """The token of a page must lead to the next one, and with other words be refused by what it is."""
    words = ("search", "backup", "--mode", "keyword", "--limit", "1")
    first = await told.winnow.json(*words)
    second = await told.winnow.json(*words, "--page-token", first["next_page_token"])
    assert first["results"][0] != second["results"][0]
    assert not second["next_page_token"]
    other = ("search", "lunch", "--page-token", first["next_page_token"])
    code, _, err = await told.winnow.run(*other)
    assert (code, "page_token" in err) == (4, True)


async def test_what_is_only_the_least_far_is_told_apart(told: Told) -> None:
    """Results without a word of the query and far from it in meaning must come with a note; others without."""
    far = await told.winnow.said("search", "capital of Mongolia?")
    assert "note: no text has these words" in far
    assert "no text has" not in await told.winnow.said("search", "why did the backup fail?")


async def test_a_search_explains_itself(told: Told) -> None:
    """--explain must name the plan, how legs were joined, the words and the times in lines that a person reads."""
    out = await told.winnow.said("search", "why did the backup fail?", "--explain")
    lines = {line.partition("  ")[0] for line in out.splitlines()}
    assert {"by meaning", "rows", "candidates", "joined", "word", "took"} <= lines
    assert "by score; weights: meaning 1.00, words " in out
    out = await told.winnow.said("search", "backup failed", "--explain", "--fusion", "rank")
    assert "by rank; weights" in out
    assert "nanos" not in out
    out = await told.winnow.said("search", "backup failed", "--explain", "--mode", "keyword")
    assert "0 by meaning, " in out
    assert "none" not in out
    assert "satisfy" not in out
    lines = (await told.winnow.said("search", "what did Ann say of it?", "--explain")).splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("name")] == [["name", "Ann"]]


async def test_what_is_forwarded_is_told_apart(told: Told) -> None:
    """Who reads a result must see whose words they are, and not only who passed them on; nobody forwards himself."""
    ann = {"author_name": "Ann", "author_external_id": "ann"}
    for origin in ('{"name": "Bob"}', '{"external_id": "discord:42"}', "{}", '{"name": "Ann"}'):
        await told.library.add_message("zanzibar", forwarded_from=origin, **ann)
    out = await told.winnow.said("search", "zanzibar", "--mode", "keyword")
    said = sorted(line[5:].partition(" 2024")[0] for line in out.splitlines())
    assert said == [
        "Ann",
        "Ann, forwarded from Bob,",
        "Ann, forwarded from discord:42,",
        "Ann, forwarded from elsewhere,",
    ]


async def test_words_of_a_message_command_no_terminal(told: Told) -> None:
    """What a terminal would obey must be printed as letters, in results and around them."""
    await told.library.add_message("zanzibar \x1b]0;mine\x07\x1b[2J\x9b1m", author_name="\x1b[8mX")
    out = await told.winnow.said("search", "zanzibar", "--mode", "keyword", "--around", "1")
    assert "[8mX 2024-05-01 09:03 zanzibar ]0;mine[2J1m" in out
    assert not any(sign in out for sign in "\x1b\x07\x9b")


async def test_asking_quotes_or_does_not_know(told: Told) -> None:
    """Without a model that can write, ask must show the messages that speak of it, or say that it does not know."""
    out = await told.winnow.said("ask", "why did the backup fail?", "--quote")
    assert "These messages speak of it" in out
    assert "1. Ann 2024-05-01 09:01 The backup failed: disk full" in out
    out = await told.winnow.json("ask", "capital of Mongolia?", "--quote")
    assert (out["kind"], out["sentences"]) == ("unknown", [])


async def test_an_answer_passes_over_what_only_carries_talk_on(told: Told) -> None:
    """Of two messages as near as one another, only the one that says something must be quoted."""
    await told.library.add_message("ugh", unit(1), importance_score=0.05)
    await told.library.add_message("db-2 has no room", unit(1), importance_score=0.4)
    out = await told.winnow.said("ask", "why did the backup fail?", "--quote")
    assert ("ugh" in out, "db-2 has no room" in out) == (False, True)


async def test_asking_for_what_nothing_mentions_says_so(told: Told) -> None:
    """A version or a ticket that no message has must be named before what comes nearest, and beside an answer."""
    out = await told.winnow.said("ask", "did db-7 fail?", "--quote")
    head, _, nearest = out.partition("These come nearest:")
    assert "I do not know: nothing that was found mentions db-7." in head
    assert "The backup failed: disk full" in nearest
    found = await told.winnow.json("ask", "did db-7 fail?", "--quote")
    assert (found["kind"], found["missing"], found["sentences"]) == ("unknown", ["db-7"], [])
    assert found["nearest"]
    await told.library.add_message("the backup to db-9 failed", unit(1))
    code, out, err = await told.winnow.run("ask", "did db-7 or db-9 fail?", "--quote")
    assert "nothing that was found mentions db-7" in out + err
    assert "These messages speak of it" in out
    assert code == 0


async def test_asking_what_somebody_never_said_says_so(told: Told) -> None:
    """What only others said must be shown as what comes nearest, and whom nothing is by or about be named."""
    bob = {"author_external_id": "bob", "author_name": "Bob"}
    await told.library.add_message("lunch at noon then", unit(0, 1), thread_id="fun", **bob)
    out = await told.winnow.said("ask", "what did Bob say of the backup?", "--quote")
    head, _, nearest = out.partition("These come nearest:")
    assert head.strip() == "I do not know: nothing that was found of this is by Bob, or about Bob."
    assert "The backup failed: disk full" in nearest
    found = await told.winnow.json("ask", "what did Bob say of the backup?", "--quote")
    assert (found["kind"], found["silent"], found["sentences"]) == ("unknown", ["Bob"], [])
    await told.library.add_message("the backup is mine", unit(1), thread_id="b", **bob)
    assert "These messages speak" in await told.winnow.said(
        "ask", "what did Bob say of the backup?", "--quote"
    )


async def test_asking_without_a_word_is_refused(told: Told) -> None:
    """A question of signs alone has no answer, and must be refused as a mistake of usage."""
    code, _, err = await told.winnow.run("ask", "🎉", "--quote")
    assert (code, "has no word that could be answered" in err) == (2, True)


async def test_what_is_too_long_to_read_is_told(told: Told) -> None:
    """If all that was found is longer than may be read, ask must say so, and how to have it read."""
    await told.library.add_message("zanzibar " * 100, unit(0, 0, 0, 1))
    asked = ("ask", "zanzibar?", "--quote", "--after", "2024-05-01T09:03")
    assert "more --tokens" in await told.winnow.said(*asked, "--tokens", "64")
    out = await told.winnow.said(*asked)
    assert "These messages speak of it" in out
    assert "more --tokens" not in out


class _Patient(search_pb2_grpc.SearchServiceServicer):
    """Says how long the caller would wait."""

    def __init__(self) -> None:
        self.seconds_left: list[float] = []

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        self.seconds_left.append(context.time_remaining())
        return pb.SearchResponse()


@pytest.mark.parametrize("wait_seconds", [0, 30])
async def test_waiting_leaves_the_search_its_time(wait_seconds: int) -> None:
    """A search that waits as long as it may still has the time of any other when the wait is over."""
    server, patient = grpc.aio.server(), _Patient()
    search_pb2_grpc.add_SearchServiceServicer_to_server(patient, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = pb.SearchRequest(query="backup")
    request.wait_for.timeout.FromSeconds(wait_seconds)
    await ask(Target({"search": f"127.0.0.1:{port}"}, "key"), request)
    await server.stop(None)
    (seconds_left,) = patient.seconds_left
    assert seconds_left > wait_seconds + 20
