"""Who writes in a workspace: read in parts, as they are called now and were called first, each workspace by itself."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from services.common.database import Connection, Database, DatabaseSettings
from services.search import roster, store
from services.search.reads import Reads
from services.search.roster import Roster
from tests.search.conftest import Desk
from tests.search.library import START, Library, as_search


def few(clock: Callable[[], float] = time.monotonic) -> Roster:
    """A roster of so few that nothing is read beside searches."""
    return Roster(Reads(cast(Any, None)), clock)


async def named(known: Roster, library: Library, query: str) -> dict[str, set[str]]:
    """Ask a roster as search does."""
    async with as_search(library) as connection:
        found = await known.named(connection, library.workspace, query)
    return {word: set(each.authors) for word, each in found.items()}


async def write(library: Library, *authors: tuple[str, str], **fields: Any) -> list[UUID]:
    """Save a message of each of some authors, by id and name."""
    return [
        await library.add_message("hello", author_external_id=each, author_name=name, **fields)
        for each, name in authors
    ]


async def test_who_was_renamed_is_known_by_both_names(desk: Desk) -> None:
    """The names of an author's first and last messages must name them; who has no name is called by the id."""
    await write(desk.library, ("u1", "Olena Bila"))
    await write(desk.library, ("u1", "Olena Marchuk"), sent_at=START + timedelta(days=9))
    await write(desk.library, ("priya", ""), ("", "Nobody"))
    assert await named(few(), desk.library, "olena marchuk") == {
        "olena": {"u1"},
        "marchuk": {"u1"},
    }
    assert await named(few(), desk.library, "what bila told priya") == {
        "bila": {"u1"},
        "priya": {"priya"},
    }
    assert await named(few(), desk.library, "nobody") == {}


async def test_who_is_gone_and_bots_are_nobody(desk: Desk) -> None:
    """Who wrote nothing that is left, or is a bot, must not be named, once the roster is read again."""
    now = [0.0]
    known = few(lambda: now[0])
    (message,) = await write(desk.library, ("u1", "Olena"))
    await write(desk.library, ("u2", "Sentry"), author_is_bot=True)
    assert await named(known, desk.library, "olena and sentry") == {"olena": {"u1"}}
    await desk.library.admin.execute(
        "update ingest.message set deleted_at = now() where id = $1", message
    )
    now[0] += 11
    assert await named(known, desk.library, "olena and sentry") == {}


async def test_workspaces_know_their_own_authors(desk: Desk) -> None:
    """A name of one workspace must name nobody in another."""
    await desk.deployment.other_workspace()
    admin = desk.library.admin
    workspace = await admin.fetchval(
        "select workspace_id from spine.workspace where name = 'other'"
    )
    other = await Library(admin, workspace).open(dimensions=None)
    await write(other, ("u1", "Olena"))
    known = few()
    assert await named(known, desk.library, "olena") == {}
    assert await named(known, other, "olena") == {"olena": {"u1"}}


async def test_only_so_many_are_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where workspaces have many authors together, those are forgotten that were not asked for the longest time."""
    monkeypatch.setattr(roster, "AUTHORS_MAX", 4)
    known, libraries = few(), [desk.library]
    for name in ("second", "third"):
        workspace = await desk.library.admin.fetchval(
            "insert into spine.workspace (name) values ($1) returning workspace_id", name
        )
        libraries.append(await Library(desk.library.admin, workspace).open(dimensions=None))
    first, second, third = libraries
    for library in libraries:
        await write(library, ("u1", "Olena"), ("u2", "Anna"))
    for library in (first, second, first, third):
        assert await named(known, library, "olena") == {"olena": {"u1"}}
    assert list(known._known) == [first.workspace, third.workspace]


async def test_the_rest_of_a_large_roster_is_read_beside_searches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search must read one part, another must read none, and what is known be told while all are read anew."""
    monkeypatch.setattr(roster, "PART", 2)
    now = [0.0]
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        known = Roster(Reads(database), lambda: now[0])
        await write(desk.library, ("a", "Anna"), ("b", "Bohdan"), ("c", "Cyril"))
        for _ in range(2):
            assert await named(known, desk.library, "anna cyril") == {"anna": {"a"}}
        reading = asyncio.create_task(known.run())
        everybody = {"anna": {"a"}, "cyril": {"c"}}
        await until(known, desk.library, "anna cyril", everybody)
        reading.cancel()
        await write(desk.library, ("d", "Daria"))
        now[0] += 11
        for _ in range(2):
            assert await named(known, desk.library, "anna cyril daria") == everybody
        reading = asyncio.create_task(known.run())
        await until(known, desk.library, "anna cyril daria", {**everybody, "daria": {"d"}})
        reading.cancel()


async def test_who_is_forgotten_is_not_read_beside_searches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more large workspaces are searched than are remembered, what waits to be read must not pile up."""
    monkeypatch.setattr(roster, "PART", 1)
    monkeypatch.setattr(roster, "_WORKSPACES_MAX", 1)
    other = await desk.library.admin.fetchval(
        "insert into spine.workspace (name) values ('other') returning workspace_id"
    )
    libraries = [desk.library, await Library(desk.library.admin, other).open(dimensions=None)]
    read = store.authors
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        known, reads = Roster(Reads(database)), list[UUID]()
        for library in libraries:
            await write(library, ("a", "Anna"), ("b", "Bohdan"))
            await named(known, library, "anna")

        async def authors(connection: Connection, workspace: UUID, *where: Any) -> Any:
            reads.append(workspace)
            return await read(connection, workspace, *where)

        monkeypatch.setattr(store, "authors", authors)
        reading = asyncio.create_task(known.run())
        await until(known, libraries[1], "anna bohdan", {"anna": {"a"}, "bohdan": {"b"}})
        reading.cancel()
    assert set(reads) == {other}


async def until(known: Roster, library: Library, query: str, expected: dict[str, set[str]]) -> None:
    """Wait until a query names whom it should."""
    async with asyncio.timeout(60):
        while await named(known, library, query) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_one_search_reads_for_those_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while another reads the roster, as the other leg of a search does, must wait for it and read nothing."""
    await write(desk.library, ("u1", "Olena"))
    known, reads = few(), list[str]()

    async def authors(connection: Connection, workspace: UUID, after: str, limit: int) -> Any:
        reads.append(after)
        return await read(connection, workspace, after, limit)

    read = store.authors
    monkeypatch.setattr(store, "authors", authors)
    asked = (named(known, desk.library, "olena") for _ in range(4))
    assert await asyncio.gather(*asked) == [{"olena": {"u1"}}] * 4
    assert reads == [""]


async def test_a_nickname_that_everybody_writes_is_a_word(desk: Desk) -> None:
    """Who is called what many messages say must be named only where the word is written as a name."""
    await desk.library.add_messages(
        [f"grub fails on {i}" for i in range(15)], author_external_id="x"
    )
    await write(desk.library, ("u1", "Grub"))
    known = few()
    assert await named(known, desk.library, "why does grub fail") == {}
    assert await named(known, desk.library, "why does Grub fail") == {"grub": {"u1"}}
