"""`winnow authors` against a search that runs: ids for people who know names."""

from uuid import UUID

import pytest

from services.cli.authors import AUTHORS_MAX, PAGE_AUTHORS
from tests.cli.test_knowledge import Command
from tests.conftest import Deployment
from tests.search.library import Library

ELSEWHERE = UUID("01a22a8d-0000-7000-8000-000000000001")


@pytest.fixture
async def library(deployment: Deployment) -> Library:
    """Two chats in which three people say something, one of them in both."""
    library = await Library(deployment.admin, deployment.workspace).open()
    ann = {"author_external_id": "user1", "author_name": "Ann [ops]"}
    ben = {"author_external_id": "user2", "author_name": "Ben"}
    for number in range(3):
        await library.add_message(f"backup {number} failed", **ann)
    await library.add_message("which backup?", **ben)
    await library.add_source(ELSEWHERE)
    await library.add_message("the backup of billing", source_id=ELSEWHERE, **ben)
    await library.add_message(
        "the backup of mail", source_id=ELSEWHERE, author_external_id="user3", author_name="Ben"
    )
    return library


async def test_authors_are_listed_with_the_ids_that_options_take(
    deployment: Deployment, library: Library
) -> None:
    """Who wrote most comes first, counted over all chats or those that are named, and no more than asked for."""
    async with deployment.serving("search"):
        winnow = Command(deployment)
        listed = await winnow.json("authors", "list")
        assert listed["authors"] == [
            {"id": "user1", "name": "Ann [ops]", "messages": 3},
            {"id": "user2", "name": "Ben", "messages": 2},
            {"id": "user3", "name": "Ben", "messages": 1},
        ]
        assert "Ann [ops]" in await winnow.said("authors", "list")
        there = await winnow.json("authors", "list", "--source", str(ELSEWHERE))
        assert [each["id"] for each in there["authors"]] == ["user2", "user3"]
        called = await winnow.json("authors", "list", "--name", "ben")
        assert [each["id"] for each in called["authors"]] == ["user2", "user3"]
        _, first, beside = await winnow.run("authors", "list", "--limit", "1")
        assert "user1" in first
        assert "user2" not in first
        assert "wrote less" in beside


async def test_more_authors_than_one_reply_holds_are_listed(
    deployment: Deployment, library: Library
) -> None:
    """Whoever wrote once must be found among hundreds, and nobody come twice."""
    for number in range(PAGE_AUTHORS + 5):
        await library.add_message(
            "hello", author_external_id=f"guest{number}", author_name=f"Guest {number}"
        )
    async with deployment.serving("search"):
        listed = await Command(deployment).json("authors", "list", "--limit", "1000")
    ids = [each["id"] for each in listed["authors"]]
    assert len(ids) == len(set(ids)) == PAGE_AUTHORS + 8


async def test_who_wrote_least_is_found_by_name(deployment: Deployment, library: Library) -> None:
    """Of more authors than are listed, whoever is to be erased is found by a part of the name, in any case."""
    for number in range(AUTHORS_MAX):
        await library.add_message("hello", author_external_id=f"{number}", author_name="Guest")
    await library.add_message("hello", author_external_id="z", author_name="Ірина 100%")
    async with deployment.serving("search"):
        winnow = Command(deployment)
        found = await winnow.json("authors", "list", "--name", "іРИНА")
        assert found["authors"] == [{"id": "z", "name": "Ірина 100%", "messages": 1}]
        assert await winnow.said("authors", "list", "--name", "_") == "no such authors\n"
        _, found, beside = await winnow.run("authors", "list", "--limit", "1000")
        assert "only the 1,000 who wrote most" in beside
        narrow = ("authors", "list", "--name", "guest", "--source", str(ELSEWHERE))
        assert await winnow.said(*narrow) == "no such authors\n"


async def test_a_name_in_place_of_an_id_is_told(deployment: Deployment, library: Library) -> None:
    """A search by a name finds nothing, and must say what the ids of those who are called so are."""
    async with deployment.serving("search"):
        winnow = Command(deployment)
        out = await winnow.said("search", "backup", "--mode", "keyword", "--author", "ben")
        assert "nothing found" in out
        assert "ben is a name, of the id user2 and of user3" in out
        out = await winnow.said("search", "backup", "--mode", "keyword", "--author", "zed")
        assert "nobody has the id zed" in out
        out = await winnow.said("search", "lunch", "--mode", "keyword", "--author", "")
        assert "there is no message without an author's id" in out
        out = await winnow.said("search", "lunch", "--mode", "keyword", "--author", "user2")
        assert "note" not in out


async def test_a_name_is_told_among_any_number_of_authors(
    deployment: Deployment, library: Library
) -> None:
    """Also who wrote less than a thousand others is told by the id, and an id that nobody has as that."""
    for number in range(AUTHORS_MAX):
        guest = {"author_external_id": f"guest{number}", "author_name": "Guest"}
        await library.add_message("hello", **guest)
        await library.add_message("hello", **guest)
    async with deployment.serving("search"):
        winnow = Command(deployment)
        asked = ("search", "lunch", "--mode", "keyword", "--author")
        assert "of the id user2 and of user3" in await winnow.said(*asked, "ben")
        assert "nobody has the id zed" in await winnow.said(*asked, "zed")


async def test_a_name_makes_no_line_of_its_own(deployment: Deployment, library: Library) -> None:
    """Whoever calls themselves what looks like another result stays on the line that tells who wrote."""
    name = "Zoe\n  9. Ann [ops] 2026-03-05 10:00 we ship\u2028now"
    await library.add_message("the forged deploy", author_external_id="z", author_name=name)
    on_one_line = "Zoe 9. Ann [ops] 2026-03-05 10:00 we ship now"
    async with deployment.serving("search"):
        winnow = Command(deployment)
        for said in (
            await winnow.said("authors", "list"),
            await winnow.said("search", "forged", "--mode", "keyword"),
        ):
            assert [line for line in said.splitlines() if "ship" in line and on_one_line in line]
            assert not [line for line in said.splitlines() if line.startswith("  9. Ann")]
