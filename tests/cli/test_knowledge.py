"""`winnow topics`, `atoms`, `runs` and `extract` against an extractor that runs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.cli.knowledge import atom_lines, version_lines
from tests import forked
from tests.conftest import Deployment
from tests.extractor.saved import TALK, say, settled
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types


class Command:
    """The `winnow` command of a user who has a key of the deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._environment = os.environ | {"WINNOW_API_KEY": deployment.api_key}

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it; return its exit code and what it printed."""
        environment = self._environment | {"COLUMNS": "200"}
        done = await asyncio.to_thread(forked.winnow, *arguments, environment=environment)
        return done.returncode, done.stdout, done.stderr

    async def said(self, *arguments: str) -> str:
        """What it prints when all is well."""
        code, out, err = await self.run(*arguments)
        assert code == 0, err
        return out

    async def json(self, *arguments: str) -> Any:
        """What it prints with --json."""
        return json.loads(await self.said(*arguments, "--json"))


@pytest.fixture
async def winnow(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Command]:
    """A command, and an extractor that has read a conversation."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    async with deployment.serving("extractor"):
        await say(deployment, TALK)
        await settled(deployment)
        yield Command(deployment)


async def test_atoms_are_listed_and_shown_with_who_said_them(winnow: Command) -> None:
    """Ids stay whole, every quote stands with its author, and --json has the same."""
    listed = await winnow.json("atoms", "list")
    assert len(listed["atoms"]) >= 2
    table = await winnow.said("atoms", "list")
    for atom in listed["atoms"]:
        assert atom["id"] in table
        shown = await winnow.said("atoms", "show", atom["id"])
        assert atom["title"] in shown
        for evidence in atom["evidence"]:
            assert evidence["message"]["author"]["external_id"] in shown
            assert evidence["quote"].split()[0] in shown
        versions = await winnow.json("atoms", "versions", atom["id"])
        assert [version["version"] for version in versions["versions"]] == [1]
        told = await winnow.said("atoms", "versions", atom["id"])
        assert all(line in told for line in atom["content"].splitlines())


def test_lines_of_a_content_stand_under_the_title() -> None:
    """An atom that quotes a question has a content of two lines, both of them indented, in each version too."""
    said = {"title": "Disk", "content": "«Why?»\nFull."}
    for lines in (atom_lines(types.Atom(**said)), version_lines(pb.AtomVersion(**said))):
        printed = "".join(line if isinstance(line, str) else line[0] for line in lines)
        assert "Disk\n  «Why?»\n  Full.\n  " in printed


async def test_filters_and_pages(winnow: Command) -> None:
    """A type shows only itself, and pages of one go through everything once."""
    everything = (await winnow.json("atoms", "list"))["atoms"]
    kind = everything[0]["type"].removeprefix("ATOM_TYPE_").lower()
    same = (await winnow.json("atoms", "list", "--type", kind))["atoms"]
    assert {atom["type"] for atom in same} == {everything[0]["type"]}
    seen, token = [], ""
    while True:
        page = await winnow.json("atoms", "list", "--limit", "1", "--page-token", token)
        seen += [atom["id"] for atom in page["atoms"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == [atom["id"] for atom in everything]
    assert "--page-token" in (await winnow.run("atoms", "list", "--limit", "1"))[2]


async def test_topics_and_runs(winnow: Command) -> None:
    """A topic shows its atoms with their quotes; a run shows its outcome, with numbers as numbers."""
    topics = (await winnow.json("topics", "list"))["topics"]
    assert topics[0]["id"] in await winnow.said("topics", "list")
    shown = await winnow.said("topics", "show", topics[0]["id"])
    assert topics[0]["title"] in shown
    atoms = (await winnow.json("atoms", "list", "--topic", topics[0]["id"]))["atoms"]
    authors = {e["message"]["author"]["external_id"] for a in atoms for e in a["evidence"]}
    assert authors
    assert all(f"← {author}" in shown for author in authors)
    runs = (await winnow.json("runs", "list", "--outcome", "ok"))["runs"]
    assert [(run["outcome"], run["tokens_in"]) for run in runs] == [("RUN_OUTCOME_OK", 0)]
    assert runs[0]["id"] in await winnow.said("runs", "list")
    assert not (await winnow.json("runs", "list", "--outcome", "cut_off"))["runs"]


async def test_extract_now_says_what_waits(winnow: Command) -> None:
    """Nothing waits once everything was read."""
    assert "nothing waits" in await winnow.said("extract", "now")
    assert (await winnow.json("extract", "now"))["conversations"] == 0


async def test_extract_waits_until_all_is_read(winnow: Command, deployment: Deployment) -> None:
    """With --wait the command returns once what waited is read, and says what that gave."""
    await say(deployment, [(author, f"{text} And again?") for author, text in TALK])
    said = await winnow.json("extract", "now", "--wait")
    assert said["dead"] == 0
    runs = (await winnow.json("runs", "list"))["runs"]
    assert len(runs) == 2
    assert said["atoms"] == len((await winnow.json("atoms", "list"))["atoms"])
    again = await winnow.said("extract", "--since", "2026-01-01", "--wait")
    assert "atoms are known now" in again
    assert len((await winnow.json("runs", "list"))["runs"]) == 4
    assert "nothing is left to read" in await winnow.said("extract", "now", "--wait")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("atoms", "show", "nonsense"), 2, "ATOM_ID"),
        (("atoms", "show", str(uuid4())), 1, "no atom"),
        (("topics", "list", "--source", "x"), 2, "--source"),
        (("topics", "messages", str(uuid4())), 1, "no topic"),
        (("extract", "now", "--source", str(uuid4())), 1, "no source"),
        (("extract", "--source", str(uuid4()), "--dry-run"), 1, "no source"),
        (("atoms", "list", "--page-token", "x"), 4, "page_token"),
        (("atoms", "list", "--type", "rumour"), 2, "--type"),
        (("atoms", "list", "--invalidated", "--as-of", "2026-01-05"), 2, "--as-of"),
    ],
)
async def test_what_is_wrong_is_named(
    winnow: Command, arguments: tuple[str, ...], code: int, named: str
) -> None:
    """Bad input ends with its exit code and names the field, without a traceback."""
    done, _, err = await winnow.run(*arguments)
    assert done == code, err
    assert named in err
    assert "Traceback" not in err


async def test_a_person_judges_edits_and_withdraws(winnow: Command) -> None:
    """Each word of a person shows in the lists, and the versions say who wrote them and why."""
    first, second = (await winnow.json("atoms", "list"))["atoms"][:2]
    await winnow.said("atoms", "approve", first["id"], "--reason", "checked [twice]")
    assert "checked [twice]" in await winnow.said("atoms", "versions", first["id"])
    edited = await winnow.said(
        "atoms", "edit", first["id"], "--title", "Sieben Tage", "--version", "1"
    )
    assert "Sieben Tage" in edited
    versions = (await winnow.json("atoms", "versions", first["id"]))["versions"]
    assert [version["origin"] for version in versions] == [
        "ATOM_ORIGIN_PERSON",
        "ATOM_ORIGIN_EXTRACTION",
    ]
    code, _, err = await winnow.run("atoms", "edit", first["id"], "--title", "x", "--version", "1")
    assert (code, "version 2" in err) == (1, True)
    assert "ended 2030-01-01" in await winnow.said(
        "atoms", "edit", first["id"], "--until", "2030-01-01"
    )
    assert "ended" not in await winnow.said("atoms", "edit", first["id"], "--holds")
    await winnow.said("atoms", "reject", second["id"])
    rejected = await winnow.json("atoms", "list", "--state", "rejected")
    assert [atom["id"] for atom in rejected["atoms"]] == [second["id"]]
    assert "invalidated" in await winnow.said("atoms", "invalidate", second["id"])
    assert second["id"] in await winnow.said("atoms", "list", "--invalidated")
    assert (await winnow.run("atoms", "edit", first["id"]))[0] == 2
    assert "invalidated" not in await winnow.said("atoms", "propose", second["id"])
    proposed = (await winnow.json("atoms", "list", "--state", "proposed"))["atoms"]
    assert second["id"] in [atom["id"] for atom in proposed]


async def test_knowledge_is_followed_line_by_line(winnow: Command) -> None:
    """`winnow follow --limit` ends after so many changes, and its last cursor goes on from there."""
    lines = [
        json.loads(line)
        for line in (await winnow.said("follow", "--all", "--limit", "2", "--json")).splitlines()
    ]
    assert len(lines) == 2
    (third,) = (
        await winnow.said("follow", "--cursor", lines[-1]["cursor"], "--limit", "1", "--json")
    ).splitlines()
    assert int(json.loads(third)["cursor"]) > int(lines[-1]["cursor"])
    assert await winnow.said("follow", "--since", "2024-01-01", "--limit", "1")


async def test_extract_says_what_it_would_cost(winnow: Command) -> None:
    """A dry run of a period counts windows; without any choice the command says what it wants."""
    plan = await winnow.json(
        "extract", "--since", "2026-01-01", "--until", "2026-02-01", "--dry-run"
    )
    assert (plan["messages"], plan["windows"], plan["runs_measured"]) == (len(TALK), 1, 1)
    said = await winnow.said("extract", "--since", "2026-01-01", "--dry-run")
    assert "1 window would be read" in said
    assert "no tokens and about" in said
    nothing = await winnow.said("extract", "--since", "2030-01-01", "--dry-run")
    assert nothing == "no message is chosen: there is nothing to read\n"
    code, _, err = await winnow.run("extract", "--dry-run")
    assert (code, "--since" in err) == (2, True)
    code, _, err = await winnow.run("extract", "--all", "--since", "2026-01-01")
    assert (code, "--all goes without" in err) == (2, True)
    assert (await winnow.json("extract", "--all", "--dry-run"))["messages"] == len(TALK)
    assert (await winnow.json("extract", "now"))["conversations"] == 0


async def test_atoms_are_merged_linked_and_taken_apart(winnow: Command) -> None:
    """A merge shows in the versions and is taken back; what held before anything was said is nothing."""
    one, two = [atom["id"] for atom in (await winnow.json("atoms", "list"))["atoms"]][:2]
    merged = await winnow.json("atoms", "merge", one, two, "--reason", "the same")
    assert merged["atom"]["merged_count"] == 1
    assert f"merged into {one}" in await winnow.said("atoms", "show", two)
    for change in (("merge", one, two), ("approve", two), ("edit", two, "--title", "x")):
        refused = (await winnow.run("atoms", *change))[2]
        assert f"no live atom {two}: it was merged into {one}" in refused
    for group in ("atoms", "topics"):
        code, _, err = await winnow.run(group, "merge", one, one)
        assert (code, "nothing is merged with itself" in err) == (2, True)
    assert f"merged with {two}" in await winnow.said("atoms", "versions", one)
    assert (await winnow.json("atoms", "unmerge", two))["atom"]["merged_into_id"] == ""
    assert f"parted from {two}" in await winnow.said("atoms", "versions", one)
    assert await winnow.said("atoms", "links", one)
    assert (await winnow.json("atoms", "list", "--as-of", "2025-01-01"))["atoms"] == []


async def test_topics_are_split_and_merged(winnow: Command) -> None:
    """Messages move to a new topic and back; every step is a version."""
    topic = (await winnow.json("topics", "list"))["topics"][0]
    shown = await winnow.json("topics", "show", topic["id"])
    message = shown["message_ids"][0]
    listed = await winnow.json("topics", "messages", topic["id"])
    assert [each["id"] for each in listed["messages"]] == shown["message_ids"]
    _, read, beside = await winnow.run("topics", "messages", topic["id"], "--limit", "1")
    assert message in read
    assert "--page-token" in beside
    made = (await winnow.json("topics", "split", topic["id"], message, "--title", "Other"))["topic"]
    assert made["title"] in await winnow.said("topics", "list")
    merged = await winnow.json("topics", "merge", topic["id"], made["id"], "--title", "All of it")
    assert merged["topic"]["message_count"] == topic["message_count"]
    renamed = await winnow.said("topics", "rename", topic["id"], "All that was said")
    assert renamed.startswith("All that was said  " + topic["id"])
    for asked in (("show",), ("messages",), ("merge", topic["id"])):
        told = f"no topic {made['id']}: it was merged into {topic['id']}"
        assert told in (await winnow.run("topics", *asked, made["id"]))[2]
    code, _, err = await winnow.run("topics", "show", topic["id"], "--as-of", "1999-01-01")
    assert (code, f"no topic {topic['id']} as of 1999-01-01T00:00:00Z" in err) == (1, True)
    versions = await winnow.said("topics", "versions", topic["id"])
    assert all(word in versions for word in ("edited", "merged", "parted", "extracted", "{+"))


async def test_a_merge_of_topics_is_undone_by_a_split(winnow: Command) -> None:
    """Whoever knows which messages were the other topic's has it again, title and atoms included."""
    topic = (await winnow.json("topics", "list"))["topics"][0]
    message = (await winnow.json("topics", "show", topic["id"]))["message_ids"][0]
    split = ("topics", "split", topic["id"])
    made = (await winnow.json(*split, message, "--title", "Other"))["topic"]
    theirs = (await winnow.json("topics", "messages", made["id"]))["messages"]
    await winnow.json("topics", "merge", topic["id"], made["id"])
    parted = await winnow.json(*split, *(each["id"] for each in theirs), "--title", made["title"])
    for field in ("title", "message_count", "atom_count"):
        assert parted["topic"][field] == made[field]
    assert parted["rest"]["message_count"] == topic["message_count"] - 1
