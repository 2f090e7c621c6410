"""Topics that people join, split and call otherwise, and that readings make."""

import asyncio
from uuid import uuid4

import asyncpg
import grpc
import pytest

from services.common.ids import uuid7
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.calling import asked, at
from tests.extractor.known import OpeningEngine, TaggingEngine, knowing
from tests.extractor.saved import change, say
from tests.extractor.test_merging import DISK, FRIDAY, MONDAY, OTHER_DISK, tell, title
from winnow.extractor.v1 import extractor_pb2 as pb

OTHER = "01a21a69-d42e-70ce-b63c-d11ad0805df1"


async def test_a_renamed_topic_is_found_under_its_old_title(deployment: Deployment) -> None:
    """What a person merged and called otherwise stays so when its conversation is read again."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {DISK}", f"[Release dates] {FRIDAY}"]
        _, said = await tell(knowledge, *lines)
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        kept, other = topics["Backup retention policy"], topics["Release dates"]
        await call("MergeTopics", topic_id=kept, merged_topic_ids=[other], title="Operations")
        await change(deployment, said[0], text=lines[0].replace("full", "broken"))
        await knowledge.settled()
        found = (await call("ListTopics")).topics
        assert [(t.id, t.title, t.message_count) for t in found] == [(kept, "Operations", 2)]


async def test_a_topic_is_renamed(deployment: Deployment) -> None:
    """It keeps its title and its messages whatever is read later, a name is a version, and a repetition is none."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {DISK}", f"[Release dates] {FRIDAY}"]
        _, said = await tell(knowledge, *lines)
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        topic, other = topics["Backup retention policy"], topics["Release dates"]
        renaming = {"topic_id": topic, "title": " Operations  of disks", "request_id": str(uuid4())}
        renamed = (await call("RenameTopic", **renaming)).topic
        assert (renamed.id, renamed.title) == (topic, "Operations of disks")
        assert (await call("RenameTopic", **renaming)).topic == renamed
        await call("RenameTopic", topic_id=topic, title="Operations of disks")
        await change(deployment, said[0], text=lines[0].replace("full", "broken"))
        await knowledge.settled()
        await change(deployment, said[0], text=f"[Quite another matter] {DISK}")
        await knowledge.settled()
        found = {t.id: (t.title, t.message_count) for t in (await call("ListTopics")).topics}
        assert found == {topic: ("Operations of disks", 1), other: ("Release dates", 1)}
        versions = (await call("ListTopicVersions", topic_id=topic)).versions
        edited = [each for each in versions if each.change == pb.VERSION_CHANGE_EDITED]
        assert [each.title for each in edited] == ["Operations of disks"]
        with pytest.raises(grpc.aio.AioRpcError) as taken:
            await call("RenameTopic", topic_id=topic, title="release dates")
        assert taken.value.details() == "title: another topic of the source is called so"
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await call("RenameTopic", topic_id=OTHER, title="Anything")
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_topics_join_and_split(
    deployment: Deployment,
) -> None:
    """One topic of two sources is one, with all messages and atoms; what a person moved out stays out."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY)]
        _, first = await tell(knowledge, *lines)
        source, second = await tell(knowledge, f"[backup retention policy] {OTHER_DISK}", "chatter")
        (topic,) = (await call("ListTopics")).topics
        assert (topic.message_count, topic.atom_count) == (3, 3)
        assert (await call("ListTopics", source_id=str(source))).topics == [topic]
        split = await call(
            "SplitTopic", topic_id=topic.id, message_ids=[str(first[1])], title="Releases"
        )
        assert (split.topic.title, split.topic.message_count, split.topic.atom_count) == (
            "Releases",
            1,
            1,
        )
        assert (split.rest.message_count, split.rest.atom_count) == (2, 2)
        await change(deployment, first[0], text=lines[0].replace("full", "broken"))
        await change(deployment, second[1], text="other chatter")
        await knowledge.settled()
        found = {t.title: t for t in (await call("ListTopics")).topics}
        assert {name: t.message_count for name, t in found.items()} == {
            "Releases": 1,
            "Backup retention policy": 2,
        }
        merged = await call(
            "MergeTopics", topic_id=topic.id, merged_topic_ids=[split.topic.id], title="Operations"
        )
        assert (merged.topic.title, merged.topic.message_count) == ("Operations", 3)
        versions = (await call("ListTopicVersions", topic_id=topic.id)).versions
        assert [version.change for version in versions][:3] == [
            pb.VERSION_CHANGE_EDITED,
            pb.VERSION_CHANGE_MERGED,
            pb.VERSION_CHANGE_PARTED,
        ]
        await knowledge.settled()


async def test_a_reading_leaves_no_topic_without_messages(deployment: Deployment) -> None:
    """What a person moved to a topic stays there under whatever title it is read next, and that title is no topic."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY)]
        _, said = await tell(knowledge, *lines)
        (topic,) = (await call("ListTopics")).topics
        moved = [str(said[1])]
        split = await call("SplitTopic", topic_id=topic.id, message_ids=moved, title="Releases")
        await change(deployment, said[1], text=f"[Shipping dates] {FRIDAY}")
        await knowledge.settled()
        found = (await call("ListTopics")).topics
        assert {(t.title, t.message_count) for t in found} == {
            ("Releases", 1),
            ("Backup retention policy", 1),
        }
        (atom,) = (await call("ListAtoms", topic_id=split.topic.id)).atoms
        assert atom.title == title(FRIDAY)


async def test_a_split_leaves_no_topic_without_messages(deployment: Deployment) -> None:
    """All messages of a topic cannot be moved out of it: what is left would be a topic of nothing."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY)]
        _, said = await tell(knowledge, *lines)
        (topic,) = (await call("ListTopics")).topics
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(
                "SplitTopic",
                topic_id=topic.id,
                message_ids=[str(each) for each in said],
                title="Releases",
            )
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "message_ids: must leave the topic a message" in (refused.value.details() or "")
        assert list((await call("ListTopics")).topics) == [topic]


async def test_all_messages_of_a_topic_are_read_page_by_page(deployment: Deployment) -> None:
    """Pages give every live message of a topic itself, once and oldest first; as of a time those that had been sent."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY, OTHER_DISK, MONDAY)]
        _, said = await tell(knowledge, *lines, f"[Release dates] {FRIDAY}")
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        asked_for = {"topic_id": topics["Backup retention policy"], "page_size": 2}
        await change(deployment, said[1], deleted=True)
        first = await call("ListTopicMessages", **asked_for)
        second = await call("ListTopicMessages", **asked_for, page_token=first.next_page_token)
        listed = [*first.messages, *second.messages]
        assert [each.text for each in listed] == [lines[0], *lines[2:]]
        assert [each.id for each in listed] == [str(said[i]) for i in (0, 2, 3)]
        assert second.next_page_token == ""
        shown = await call("GetTopic", topic_id=asked_for["topic_id"])
        assert list(shown.message_ids) == [each.id for each in listed]
        assert shown.topic.message_count == len(listed)
        then = (await call("ListTopicMessages", **asked_for, as_of=at(2))).messages
        assert [each.text for each in then] == [lines[0], lines[2]]
        for missing in ({"topic_id": OTHER}, asked_for | {"as_of": at(-1)}):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call("ListTopicMessages", **missing)
            assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_message_that_goes_while_its_topic_is_read_is_no_error(
    deployment: Deployment, database_url: str
) -> None:
    """A page is of one moment, though it is read in several statements."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY)]
        _, said = await tell(knowledge, *lines)
        (topic,) = (await call("ListTopics")).topics
        # Which messages belong to a topic is read without their source, what they say with it.
        other = await asyncpg.connect(database_url)
        try:
            async with other.transaction():
                await other.execute("lock table ingest.source in access exclusive mode")
                reading = asyncio.create_task(call("ListTopicMessages", topic_id=topic.id))
                await until_true(
                    deployment.admin, "exists (select from pg_locks where not granted)"
                )
                await change(deployment, said[0], deleted=True)
        finally:
            await other.close()
        assert [each.text for each in (await reading).messages] == lines


async def test_what_is_to_be_erased_is_not_shown(deployment: Deployment) -> None:
    """A message that an erasure has still to reach is read neither in its topic nor as evidence any more."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backup retention policy] {line}" for line in (DISK, FRIDAY)]
        _, said = await tell(knowledge, *lines)
        (topic,) = (await call("ListTopics")).topics
        await deployment.admin.execute(
            "insert into ingest.message_to_erase (workspace_id, message_id, operation_id) values ($1, $2, $3)",
            deployment.workspace,
            said[0],
            uuid7(),
        )
        listed = (await call("ListTopicMessages", topic_id=topic.id)).messages
        assert [each.text for each in listed] == [lines[1]]
        found = (await call("ListAtoms", include_messages=True)).atoms
        found.extend([(await call("GetAtom", atom_id=each.id)).atom for each in found])
        cited = {passage.message_id for each in found for passage in each.evidence}
        assert cited == {str(said[1])}


async def test_a_request_is_carried_out_once(deployment: Deployment) -> None:
    """Who got no answer sends the request again: it changes nothing, and returns the topics as they are by then."""
    async with asked(deployment) as (knowledge, call):
        _, said = await tell(knowledge, f"[Disks] {DISK}", f"[Disks] {FRIDAY}")
        (whole,) = (await call("ListTopics")).topics
        splitting = {
            "topic_id": whole.id,
            "message_ids": [str(said[1])],
            "title": "Releases",
            "request_id": str(uuid4()),
        }
        split = await call("SplitTopic", **splitting)
        assert await call("SplitTopic", **splitting) == split
        merging = {
            "topic_id": whole.id,
            "merged_topic_ids": [split.topic.id],
            "request_id": str(uuid4()),
        }
        merged = await call("MergeTopics", **merging)
        assert await call("MergeTopics", **merging) == merged
        assert len((await call("ListTopicVersions", topic_id=whole.id)).versions) == 3
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await call("SplitTopic", **splitting)
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND
        assert f"it was merged into {whole.id}" in (gone.value.details() or "")
        with pytest.raises(grpc.aio.AioRpcError) as taken:
            await call("SplitTopic", **(splitting | {"title": "Dates"}))
        assert taken.value.details() == "request_id: another request had it"


@pytest.mark.parametrize("method", ["MergeTopics", "SplitTopic", "RenameTopic"])
async def test_a_title_of_spaces_is_refused(deployment: Deployment, method: str) -> None:
    """A title that nobody can read is neither taken nor taken for none: the caller learns which field is at fault."""
    others: dict[str, dict[str, list[str]]] = {
        "MergeTopics": {"merged_topic_ids": [OTHER]},
        "SplitTopic": {"message_ids": [OTHER]},
        "RenameTopic": {},
    }
    async with asked(deployment) as (_, call):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(method, topic_id=OTHER, title=" \u3000", **others[method])
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "title: must not be only spaces"


async def test_a_topic_bears_the_spelling_that_came_first(deployment: Deployment) -> None:
    """Of titles that differ in case alone the first one of a reading is the topic's, whenever it is read."""
    first = [f"Matter {number}" for number in range(8)]
    lines = [
        ("ann", f"[{title}] idea: Said of {title}")
        for each in first
        for title in (each, each.upper())
    ]
    async with knowing(deployment, merges=False) as knowledge:
        await say(deployment, lines)
        await knowledge.settled()
        rows = await deployment.admin.fetch("select title from extractor.topic order by title")
        assert [row["title"] for row in rows] == first


@pytest.mark.parametrize("named_first", [False, True])
async def test_a_title_that_a_person_gave_stays(deployment: Deployment, named_first: bool) -> None:
    """A topic that a person named takes in what readings call alike, older or newer, and is not taken in by it."""
    async with asked(deployment) as (knowledge, call):
        other = f"[Backup retention policy] {FRIDAY}"
        if not named_first:
            await tell(knowledge, other)
        _, said = await tell(knowledge, f"[Disks] {DISK}", f"[Disks] {OTHER_DISK}")
        disks = next(t.id for t in (await call("ListTopics")).topics if t.title == "Disks")
        moved = {"message_ids": [str(said[1])], "title": "Policy for backup retention"}
        split = await call("SplitTopic", topic_id=disks, **moved)
        if named_first:
            await tell(knowledge, other)
        await knowledge.settled()
        found = {t.id: (t.title, t.message_count) for t in (await call("ListTopics")).topics}
        assert found == {disks: ("Disks", 1), split.topic.id: ("Policy for backup retention", 2)}


async def test_two_that_people_named_alike_stay_two(deployment: Deployment) -> None:
    """Comparing does not undo what two people made, each in a source of their own."""
    async with asked(deployment) as (knowledge, call):
        for number, titled in enumerate(("Policy for backup retention", "Backup retention policy")):
            lines = [f"[Matter {number} of disks] {line}" for line in (DISK, FRIDAY)]
            _, said = await tell(knowledge, *lines)
            whole = (await call("ListTopics")).topics[0]
            await call("SplitTopic", topic_id=whole.id, message_ids=[str(said[1])], title=titled)
            await knowledge.settled()
        found = {t.title for t in (await call("ListTopics")).topics}
        assert {"Policy for backup retention", "Backup retention policy"} <= found


async def test_what_a_person_merged_stays_whatever_it_is_called_next(
    deployment: Deployment,
) -> None:
    """Other words may give a conversation another title; what it says stays in the topic that a person made."""
    async with asked(deployment, engine=OpeningEngine()) as (knowledge, call):
        _, said = await tell(knowledge, "archives fill the disk", "paint both kitchens yellow")
        await tell(knowledge, "order twenty chairs for the large hall")
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        merged = {"topic_id": topics["archives"], "merged_topic_ids": [topics["order"]]}
        await call("MergeTopics", **merged, title="Operations")
        await change(deployment, said[0], text="backups fill the disk")
        await knowledge.settled()
        (topic,) = (await call("ListTopics")).topics
        assert (topic.id, topic.title) == (topics["archives"], "Operations")
        assert (topic.message_count, topic.atom_count) == (3, 3)


@pytest.mark.parametrize("method", ["MergeTopics", "SplitTopic"])
async def test_a_topic_that_a_person_left_alone_keeps_what_it_has(
    deployment: Deployment, method: str
) -> None:
    """A message of two topics stays in the one when a person merges the other, or splits the message off it."""
    async with asked(deployment, engine=TaggingEngine()) as (knowledge, call):
        lines = (
            "the #archive is full",
            "order a disk for the #archive and paint the #kitchen",
            "twenty #chairs for the hall",
        )
        _, said = await tell(knowledge, *lines)
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        archive = {"topic_id": topics["archive"]}
        if method == "MergeTopics":
            await call(method, **archive, merged_topic_ids=[topics["chairs"]])
        else:
            await call(method, **archive, message_ids=[str(said[1])], title="Orders")
        before = {t.title: t.message_count for t in (await call("ListTopics")).topics}
        await change(deployment, said[0], text="the #archive is full again")
        await knowledge.settled()
        found = (await call("ListTopics")).topics
        assert {t.title: t.message_count for t in found} == before
        kitchen = next(t for t in found if t.title == "kitchen")
        assert (kitchen.id, kitchen.message_count, kitchen.atom_count) == (topics["kitchen"], 1, 1)
