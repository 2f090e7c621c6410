"""Following knowledge: everything in the order it was committed, resumable, and nothing of others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.extractor.feed import Feed, Wanted
from tests.conftest import Deployment
from tests.extractor.saved import TALK, say, settled
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types


@dataclass
class Following:
    """A client of an extractor that has read a conversation."""

    deployment: Deployment
    stub: Any

    def stream(self, **fields: Any) -> Any:
        """Open a stream."""
        request = pb.StreamKnowledgeRequest(**fields)
        return self.stub.StreamKnowledge(request, metadata=self.deployment.metadata)

    async def call(self, method: str, request: Any) -> Any:
        """Call the extractor."""
        return await getattr(self.stub, method)(request, metadata=self.deployment.metadata)

    async def live(self) -> set[str]:
        """The ids of all live atoms and topics."""
        atoms = (await self.call("ListAtoms", pb.ListAtomsRequest(page_size=500))).atoms
        topics = (await self.call("ListTopics", pb.ListTopicsRequest(page_size=500))).topics
        return {each.id for each in [*atoms, *topics]}


@pytest.fixture
async def following(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Following]:
    """An extractor that has read a conversation, and looks often."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_FEED_POLL_SECONDS", "0.05")
    async with deployment.serving("extractor") as channel:
        await say(deployment, TALK)
        await settled(deployment)
        yield Following(deployment, ExtractorServiceStub(channel))


def identity(change: pb.StreamKnowledgeResponse) -> str:
    """The id of what changed."""
    return str(getattr(change, change.WhichOneof("change") or "").id)


async def take(stream: Any, count: int) -> list[pb.StreamKnowledgeResponse]:
    """The next changes of a stream."""
    async with asyncio.timeout(60):
        return [await stream.read() for _ in range(count)]


async def test_everything_and_then_each_change(following: Following) -> None:
    """What is live comes once with its evidence, which says who is cited; then edits, and removals by id."""
    live = await following.live()
    origin = "jsonb_build_object('name', 'Bob', 'of_a_later_release', 1)"
    forward = f"update ingest.message set forwarded_from = {origin}"
    await following.deployment.admin.execute(forward)
    stream = following.stream()
    changes = await take(stream, len(live))
    assert {identity(change) for change in changes} == live
    atoms = [change.atom for change in changes if change.HasField("atom")]
    cited = [evidence.message for atom in atoms for evidence in atom.evidence]
    assert all(message.text and message.forwarded_from.name == "Bob" for message in cited)
    edit = pb.UpdateAtomRequest(atom_id=atoms[0].id, title="Put by hand")
    await following.call("UpdateAtom", edit)
    (edited,) = await take(stream, 1)
    assert (edited.atom.id, edited.atom.title) == (atoms[0].id, "Put by hand")
    await following.call("InvalidateAtom", pb.InvalidateAtomRequest(atom_id=atoms[0].id))
    (gone,) = await take(stream, 1)
    assert (gone.removal.id, gone.removal.kind) == (atoms[0].id, types.SUBJECT_KIND_ATOM)
    stream.cancel()


async def test_any_cursor_can_be_resumed(following: Following) -> None:
    """From each cursor exactly the rest comes; a judgement moves an atom to the end."""
    live = await following.live()
    changes = await take(following.stream(), len(live))
    for position, change in enumerate(changes):
        rest = changes[position + 1 :]
        resumed = await take(following.stream(cursor=change.cursor), len(rest))
        assert [identity(each) for each in resumed] == [identity(each) for each in rest]
    first = next(change for change in changes if change.HasField("atom"))
    approve = pb.ReviewAtomRequest(
        atom_id=first.atom.id, approval_state=types.APPROVAL_STATE_APPROVED
    )
    await following.call("ReviewAtom", approve)
    (moved,) = await take(following.stream(cursor=changes[-1].cursor), 1)
    assert moved.atom.approval_state == types.APPROVAL_STATE_APPROVED
    again = await take(following.stream(), len(live))
    assert {identity(change) for change in again} == live


async def test_only_what_is_new(following: Following) -> None:
    """A stream from now on says at once where that is, and whoever goes on from there misses no change."""
    listed = await following.call("ListAtoms", pb.ListAtomsRequest())
    stream = following.stream(only_new=True)
    (begun,) = await take(stream, 1)
    assert (begun.cursor.isdigit(), begun.WhichOneof("change")) == (True, None)
    state, atom = types.APPROVAL_STATE_APPROVED, listed.atoms[0].id
    await following.call("ReviewAtom", pb.ReviewAtomRequest(atom_id=atom, approval_state=state))
    for each in (stream, following.stream(cursor=begun.cursor)):
        (change,) = await take(each, 1)
        assert identity(change) == atom


async def test_what_changed_since_a_time(following: Following) -> None:
    """A stream begins with a cursor, then with what changed last from a time on, also with what is gone since."""
    listed = (await following.call("ListAtoms", pb.ListAtomsRequest())).atoms
    admin = following.deployment.admin
    await admin.execute("update extractor.feed set changed_at = '2024-05-01'")
    approve = pb.ReviewAtomRequest(
        atom_id=listed[0].id, approval_state=types.APPROVAL_STATE_APPROVED
    )
    await following.call("ReviewAtom", approve)
    await following.call("InvalidateAtom", pb.InvalidateAtomRequest(atom_id=listed[1].id))
    begun, *changes = await take(following.stream(since={"seconds": 1_735_689_600}), 3)
    assert (begun.cursor.isdigit(), begun.WhichOneof("change")) == (True, None)
    assert [identity(change) for change in changes] == [listed[0].id, listed[1].id]
    resumed = await take(following.stream(cursor=begun.cursor), 2)
    assert [each.cursor for each in resumed] == [each.cursor for each in changes]
    everything = {*await following.live(), listed[1].id}
    _, *rest = await take(following.stream(since={"seconds": 0}), len(everything) + 1)
    assert {identity(change) for change in rest} == everything
    await admin.execute(
        "update extractor.feed set changed_at = null where changed_at < '2025-01-01'"
    )
    _, *rest = await take(following.stream(since={"seconds": 0}), 3)
    assert [identity(change) for change in rest] == [listed[0].id, listed[1].id]


async def test_one_source_and_one_kind(following: Following) -> None:
    """Who follows one chat, or topics alone, is told of nothing else that lives, and of whatever is gone."""
    deployment = following.deployment
    other, _ = await say(deployment, TALK)
    await settled(deployment)
    listed = (await following.call("ListAtoms", pb.ListAtomsRequest(page_size=500))).atoms
    here = [atom.id for atom in listed if atom.source_id != str(other)]
    there = [atom.id for atom in listed if atom.source_id == str(other)]
    assert here
    source = next(atom.source_id for atom in listed if atom.id == here[0])
    topics = (await following.call("ListTopics", pb.ListTopicsRequest(source_id=source))).topics
    live = {*here, *(topic.id for topic in topics)}
    assert live < await following.live()
    stream = following.stream(source_id=source)
    assert {identity(change) for change in await take(stream, len(live))} == live
    atoms = [types.SUBJECT_KIND_ATOM]
    only_atoms = following.stream(source_id=source, kinds=atoms)
    assert {identity(change) for change in await take(only_atoms, len(here))} == set(here)
    for atom in (there[0], here[0]):
        await following.call("UpdateAtom", pb.UpdateAtomRequest(atom_id=atom, title="By hand"))
    await following.call("InvalidateAtom", pb.InvalidateAtomRequest(atom_id=there[0]))
    for each in (stream, only_atoms):
        edited, gone = await take(each, 2)
        assert (edited.atom.id, gone.removal.id) == (here[0], there[0])
        each.cancel()
    every = following.stream(kinds=[types.SUBJECT_KIND_TOPIC])
    found = await take(every, len(await following.live()) - len(listed) + 1)
    assert {change.WhichOneof("change") for change in found} == {"topic"}
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await following.stream(kinds=[types.SUBJECT_KIND_MESSAGE]).read()
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_late_commit_is_not_missed(following: Following, database_url: str) -> None:
    """A transaction that began first and commits last comes last, whatever was read between."""
    deployment = following.deployment
    rows = await deployment.admin.fetch("select id from extractor.atom order by id limit 2")
    early, late = (row["id"] for row in rows)
    stream = following.stream()
    known = await take(stream, len(await following.live()))
    query = "update extractor.atom set version = version + 1 where id = $1"
    slow: asyncpg.Connection = await asyncpg.connect(database_url)
    async with slow.transaction():
        await slow.execute(query, early)
        await deployment.admin.execute(query, late)
        (first,) = await take(stream, 1)
        assert UUID(first.atom.id) == late
    await slow.close()
    (second,) = await take(stream, 1)
    assert UUID(second.atom.id) == early
    assert int(known[-1].cursor) < int(first.cursor) < int(second.cursor)
    stream.cancel()


async def test_what_was_erased_leaves_its_id(following: Following) -> None:
    """A row that is deleted, as erasing does, is told as a removal."""
    listed = await following.call("ListTopics", pb.ListTopicsRequest())
    topic = listed.topics[0].id
    stream = following.stream()
    await take(stream, len(await following.live()))
    admin = following.deployment.admin
    async with admin.transaction():
        for table in ("topic_message", "topic_version"):
            await admin.execute(f"delete from extractor.{table} where topic_id = $1", UUID(topic))
        await admin.execute(
            "update extractor.atom set topic_id = null where topic_id = $1", UUID(topic)
        )
        await admin.execute("delete from extractor.topic where id = $1", UUID(topic))
    changes = await take(stream, 1)
    while identity(changes[-1]) != topic:
        changes += await take(stream, 1)
    assert changes[-1].removal.kind == types.SUBJECT_KIND_TOPIC
    stream.cancel()


async def test_others_see_nothing_and_nonsense_is_refused(following: Following) -> None:
    """Another workspace's stream stays silent; a cursor that is none is refused by name."""
    other = await following.deployment.other_workspace()
    silent = following.stub.StreamKnowledge(pb.StreamKnowledgeRequest(), metadata=other)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await silent.read()
    for fields, named in (
        ({"cursor": "x"}, "cursor: must be a cursor that was received"),
        ({"cursor": "1", "only_new": True}, "only_new: "),
        ({"cursor": "1", "since": {"seconds": 1}}, "since: excludes cursor and only_new"),
        ({"only_new": True, "since": {"seconds": 1}}, "since: excludes cursor and only_new"),
        ({"cursor": "9" * 18}, "cursor: is later than the workspace's last change"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await following.stream(**fields).read()
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (failure.value.details() or "").startswith(named)


async def test_a_drained_feed_ends_its_streams(deployment: Deployment) -> None:
    """A stream that waits ends by itself when the service stops, so that nothing holds the stop up."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        feed = Feed(database, poll_seconds=3600)
        ended = asyncio.create_task(_all(feed.follow(deployment.workspace, 0, Wanted([], None))))
        draining = asyncio.create_task(feed.run())
        await asyncio.sleep(0)
        feed.drain()
        async with asyncio.timeout(60):
            assert await ended == []
            await draining


async def _all(changes: AsyncIterator[pb.StreamKnowledgeResponse]) -> list[object]:
    return [change async for change in changes]
