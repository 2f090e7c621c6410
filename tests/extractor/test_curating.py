"""What people say of what is merged, rules that approve, erasure through merges, and the calls that show it all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.channels import CHANNEL_OPTIONS
from services.common.ids import uuid7
from services.common.service import Service, Servicer, serving
from services.extractor.feed import Feed
from services.extractor.manual import Reading
from services.extractor.providing import Provider
from services.extractor.rpc import SCOPES, ExtractorRpc
from services.extractor.rules import NO_RULE, ApprovalRule
from tests.conftest import Deployment
from tests.extractor.known import LIMITS, Knowledge, knowing
from tests.extractor.saved import BEGAN, change, say
from tests.extractor.test_merging import DISK, FRIDAY, MONDAY, OTHER_DISK, SMALL_TALK, tell, title
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import (
    ExtractorServiceStub,
    add_ExtractorServiceServicer_to_server,
)
from winnow.types.v1 import types_pb2 as types

READING = Reading(LIMITS, "1", "saying 1", calls_model=False)


class Caller:
    """A person with a key."""

    def __init__(self, deployment: Deployment, channel: grpc.aio.Channel) -> None:
        self._metadata, self._stub = deployment.metadata, ExtractorServiceStub(channel)

    async def __call__(self, method: str, **fields: Any) -> Any:
        """Call a method with the fields of its request."""
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def follow(self, cursor: int, atom: UUID) -> types.Atom:
        """An atom as a stream tells it next."""
        request = pb.StreamKnowledgeRequest(cursor=str(cursor))
        stream = self._stub.StreamKnowledge(request, metadata=self._metadata)
        async with asyncio.timeout(10):
            async for change in stream:
                if change.atom.id == str(atom):
                    stream.cancel()
                    return change.atom
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def asked(
    deployment: Deployment, rule: ApprovalRule = NO_RULE
) -> AsyncIterator[tuple[Knowledge, Caller]]:
    """Knowledge whose stages run by hand, and the calls of the extractor over the same database."""
    async with knowing(deployment, rule=rule) as knowledge:
        database = knowledge.databases["extractor"]
        rpc = ExtractorRpc(database, _nothing, Feed(database, 1), READING, Provider("saying", "1"))
        servicer = Servicer(
            "winnow.extractor.v1.ExtractorService",
            add_ExtractorServiceServicer_to_server,
            rpc,
            SCOPES,
        )
        service = Service("extractor", database, [servicer], [], [])
        async with (
            serving(service) as address,
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
        ):
            yield knowledge, Caller(deployment, channel)


def _nothing() -> None:
    """Nobody waits for a hint."""


async def erase(deployment: Deployment, message: UUID) -> None:
    """Erase a message as ingest would."""
    admin, workspace, operation = deployment.admin, deployment.workspace, uuid7()
    await admin.execute(
        "update ingest.message set text = '', text_sha256 = sha256(''), deleted_at = now() where id = $1",
        message,
    )
    await admin.execute(
        "insert into ingest.operation (workspace_id, id, kind) values ($1, $2, 'erase')",
        workspace,
        operation,
    )
    await admin.execute(
        "insert into ingest.erasure values ($1, $2, 0, array[$3::uuid])",
        workspace,
        operation,
        message,
    )
    await admin.execute(
        "select spine.enqueue($1, 'erase_extractor', array[$2::uuid], array['0'])",
        workspace,
        operation,
    )


def at(minutes: int) -> Timestamp:
    """A time after the first message."""
    result = Timestamp()
    result.FromDatetime(BEGAN + timedelta(minutes=minutes))
    return result


async def test_erasing_reaches_through_merges(deployment: Deployment) -> None:
    """The erased message is evidence of nothing, whether its atom was merged or merged into; the other one stands."""
    async with knowing(deployment) as knowledge:
        _, (first,) = await tell(knowledge, DISK)
        _, (second,) = await tell(knowledge, DISK)
        _, (third,) = await tell(knowledge, DISK)
        await erase(deployment, second)
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].messages == sorted((first, third))
        await erase(deployment, first)
        await knowledge.settled()
        heir = (await knowledge.live())[title(DISK)]
        assert heir.messages == [third]
        held = "select count(*) from extractor.atom_evidence where message_id = any ($1)"
        assert await deployment.admin.fetchval(held, [first, second]) == 0
        assert len(await knowledge.atoms()) == 1


async def test_people_merge_and_take_apart(
    deployment: Deployment,
) -> None:
    """What a person merged survives readings and other words; what a person took apart is never joined again."""
    async with asked(deployment) as (knowledge, call):
        _, (first,) = await tell(knowledge, DISK)
        _, (second,) = await tell(knowledge, OTHER_DISK)
        one, two = (
            (await knowledge.live())[title(DISK)],
            (await knowledge.live())[title(OTHER_DISK)],
        )
        merged = await call("MergeAtoms", atom_id=str(one.id), merged_atom_ids=[str(two.id)])
        assert {e.message_id for e in merged.atom.evidence} == {str(first), str(second)}
        assert merged.atom.merged_count == 1
        await change(deployment, second, text=OTHER_DISK.replace("full", "broken"))
        await knowledge.settled()
        assert set(await knowledge.live()) == {title(DISK)}
        shown = await call("GetAtom", atom_id=str(two.id))
        assert shown.atom.merged_into_id == str(one.id)
        versions = (await call("ListAtomVersions", atom_id=str(one.id))).versions
        assert [(v.version, v.change, v.evidence_count) for v in versions] == [
            (2, pb.VERSION_CHANGE_MERGED, 2),
            (1, pb.VERSION_CHANGE_EXTRACTED, 1),
        ]
        parted = await call("UnmergeAtom", atom_id=str(two.id))
        assert parted.atom.merged_into_id == ""
        await change(deployment, second, text=DISK)
        await knowledge.settled()
        live = [atom for atom in await knowledge.atoms() if atom.is_live]
        assert [(atom.id, atom.messages) for atom in live] == [
            (one.id, [first]),
            (two.id, [second]),
        ]
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call("UnmergeAtom", atom_id=str(two.id))
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_judgements_win_over_comparing(
    deployment: Deployment,
) -> None:
    """What is rejected swallows what repeats it; an approved decision is contradicted, but not ended."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, DISK, FRIDAY, *SMALL_TALK)
        live = await knowledge.live()
        rejected, approved = live[title(DISK)], live[title(FRIDAY)]
        for atom, state in ((rejected, 3), (approved, 2)):
            await call("ReviewAtom", atom_id=str(atom.id), approval_state=state)
        await tell(knowledge, DISK)
        await tell(knowledge, MONDAY)
        after = await knowledge.live()
        assert (after[title(DISK)].id, after[title(DISK)].state) == (rejected.id, "rejected")
        assert after[title(FRIDAY)].valid_to is None
        assert (title(MONDAY), "contradicts", title(FRIDAY)) in await knowledge.links()


async def test_what_held_then(deployment: Deployment) -> None:
    """As of a time between two decisions the older one holds, with the evidence of that time; later the newer one."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        start = len(SMALL_TALK)
        await tell(knowledge, FRIDAY)
        await tell(knowledge, MONDAY)
        await tell(knowledge, SMALL_TALK[0])

        async def decisions(minutes: int) -> list[str]:
            kind = types.ATOM_TYPE_DECISION
            found = await call("ListAtoms", type=kind, as_of=at(minutes), page_size=100)
            return [atom.title for atom in found.atoms]

        assert await decisions(start - 1) == []
        assert await decisions(start) == [title(FRIDAY)]
        assert await decisions(start + 1) == [title(MONDAY)]
        first = (await knowledge.live())[title(SMALL_TALK[0])]
        then = await call("GetAtom", atom_id=str(first.id), as_of=at(start))
        now = await call("GetAtom", atom_id=str(first.id))
        assert (len(then.atom.evidence), len(now.atom.evidence)) == (1, 2)
        older = (await knowledge.live())[title(FRIDAY)]
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call("GetAtom", atom_id=str(older.id), as_of=at(start + 1))
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND
        walked = await call("ListAtomLinks", atom_id=str(older.id), depth=2)
        assert [n.atom.title for n in walked.neighbours if n.depth == 1] == [title(MONDAY)]
        assert [(link.type, link.origin) for link in walked.links] == [
            (types.LINK_TYPE_CONTRADICTS, pb.LINK_ORIGIN_MEANING)
        ]


async def test_what_a_person_lets_hold_is_not_ended_again(deployment: Deployment) -> None:
    """An end that a person took back stays away, though what had caused it is compared once more."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        await tell(knowledge, FRIDAY)
        await tell(knowledge, MONDAY)
        live = await knowledge.live()
        older, newer = live[title(FRIDAY)], live[title(MONDAY)]
        assert older.superseded_by == newer.id
        await call("UpdateAtom", atom_id=str(older.id), update_mask={"paths": ["valid_to"]})
        await call(
            "ReviewAtom", atom_id=str(newer.id), approval_state=types.APPROVAL_STATE_APPROVED
        )
        await knowledge.settled()
        after = (await knowledge.live())[title(FRIDAY)]
        assert (after.valid_to, after.superseded_by) == (None, None)


async def test_what_held_then_is_said_alike_everywhere(deployment: Deployment) -> None:
    """As of a time an atom leads to none that came later, and a topic counts and names the atoms that are listed."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        await tell(knowledge, f"[Releases] {FRIDAY}", f"[Releases] {DISK}")
        await tell(knowledge, MONDAY)
        live, then = await knowledge.live(), at(len(SMALL_TALK) + 1)
        older, rejected = live[title(FRIDAY)], live[title(DISK)]
        assert (await call("GetAtom", atom_id=str(older.id))).links
        assert not (await call("GetAtom", atom_id=str(older.id), as_of=then)).links
        wrong = types.APPROVAL_STATE_REJECTED
        await call("ReviewAtom", atom_id=str(rejected.id), approval_state=wrong)
        (topic,) = (await call("ListTopics", as_of=then)).topics
        shown = await call("GetTopic", topic_id=topic.id, as_of=then)
        listed = (await call("ListAtoms", topic_id=topic.id, as_of=then)).atoms
        assert [atom.id for atom in listed] == list(shown.atom_ids) == [str(older.id)]
        assert (topic.atom_count, shown.topic.atom_count) == (1, 1)


async def test_a_rule_approves_what_is_said_often_enough(
    deployment: Deployment,
) -> None:
    """Two messages approve at this confidence; with one gone the approval is taken back, and no person's is touched."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        await tell(knowledge, DISK)
        assert (await knowledge.live())[title(DISK)].state == "proposed"
        _, (second,) = await tell(knowledge, DISK)
        atom = (await knowledge.live())[title(DISK)]
        assert atom.state == "approved"
        shown = (await call("GetAtom", atom_id=str(atom.id))).atom
        assert shown.approved_by_rule
        versions = (await call("ListAtomVersions", atom_id=str(atom.id))).versions
        assert "by rule" in versions[0].reason
        await change(deployment, second, deleted=True)
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].state == "proposed"


async def test_a_rule_takes_back_what_is_no_longer_said_often_enough(
    deployment: Deployment,
) -> None:
    """Whether a person takes the second message's atom out of the merge or its message is erased, one is too few."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        for line, leave in ((DISK, ""), (FRIDAY, "UnmergeAtom")):
            await tell(knowledge, line)
            _, (second,) = await tell(knowledge, line)
            atom = (await knowledge.live())[title(line)]
            assert atom.state == "approved"
            (merged,) = [each for each in await knowledge.atoms() if each.merged_into == atom.id]
            if leave:
                await call(leave, atom_id=str(merged.id))
            else:
                await erase(deployment, second)
            await knowledge.settled()
            (after,) = [each for each in await knowledge.atoms() if each.id == atom.id]
            assert (len(after.messages), after.state) == (1, "proposed"), leave


async def test_followers_are_told_of_all_that_an_atom_shows(deployment: Deployment) -> None:
    """That a person approves what a rule did, or evidence is erased, makes no version and is told all the same."""
    position = "select position from extractor.feed_position"
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        _, (first,) = await tell(knowledge, DISK)
        _, (second,) = await tell(knowledge, DISK)
        atom = (await knowledge.live())[title(DISK)].id
        before = await deployment.admin.fetchval(position)
        await call("ReviewAtom", atom_id=str(atom), approval_state=types.APPROVAL_STATE_APPROVED)
        assert not (await call.follow(before, atom)).approved_by_rule
        before = await deployment.admin.fetchval(position)
        await erase(deployment, second)
        await knowledge.settled()
        told = await call.follow(before, atom)
        assert [each.message_id for each in told.evidence] == [str(first)]


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


async def test_an_id_in_two_spellings_is_one_id(deployment: Deployment) -> None:
    """A request that names a thing twice, in small letters and in capitals, is answered as if it named it once."""
    async with asked(deployment) as (knowledge, call):
        _, said = await tell(knowledge, f"[Backups] {DISK}", f"[Backups] {FRIDAY}")
        twice = [str(said[0]), str(said[0]).upper()]
        plan = await call("ExtractMessages", dry_run=True, message_ids=twice)
        assert plan.messages == 1
        (topic,) = (await call("ListTopics")).topics
        split = await call("SplitTopic", topic_id=topic.id, message_ids=twice, title="Disks")
        assert (split.topic.message_count, split.rest.message_count) == (1, 1)
        versions = await call("ListTopicVersions", topic_id=split.topic.id)
        assert [version.message_count for version in versions.versions] == [1]
        both = [split.topic.id, split.topic.id.upper()]
        merged = await call("MergeTopics", topic_id=topic.id, merged_topic_ids=both)
        assert merged.topic.message_count == 2
        one, two = (await knowledge.live()).values()
        joined = await call(
            "MergeAtoms", atom_id=str(one.id), merged_atom_ids=[str(two.id), str(two.id).upper()]
        )
        assert joined.atom.merged_count == 1
        await knowledge.settled()


async def test_chosen_messages_are_read_again(deployment: Deployment) -> None:
    """A dry run counts and changes nothing; a period is read again but for what is noise alone, and atoms stay."""
    async with asked(deployment) as (knowledge, call):
        source, first = await tell(knowledge, DISK, FRIDAY)
        await tell(knowledge, *["ok"] * 40)
        before = await knowledge.atoms()
        chosen = {"since": at(0), "until": at(100)}
        plan = await call("ExtractMessages", dry_run=True, **chosen)
        assert (plan.messages, plan.windows, plan.windows_noise) == (42, 1, 1)
        assert (plan.messages_read, plan.tokens_estimated, plan.runs_measured) == (2, 0, 1)
        runs = "select count(*) from extractor.run"
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 1
        await call("ExtractMessages", **chosen)
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 2
        await call("ExtractMessages", message_ids=[str(first[0])])
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 3
        assert await knowledge.atoms() == before
        nothing = await call("ExtractMessages", source_id=str(source), since=at(50), dry_run=True)
        assert (nothing.messages, nothing.windows) == (0, 0)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call("ExtractMessages", message_ids=[str(uuid7())])
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_window_that_goes_on_is_counted_once(deployment: Deployment) -> None:
    """Where a window that is read again is one that open talk continues, the plan counts it and its messages once."""
    async with asked(deployment) as (knowledge, call):
        admin = deployment.admin
        source, _ = await say(deployment, [("ann", DISK), ("bob", FRIDAY)])
        await admin.execute("update ingest.message set sent_at = now() - interval '10 minutes'")
        await knowledge.settled()
        await call("ExtractNow")
        await knowledge.settled()
        _, (late,) = await say(deployment, [("ann", OTHER_DISK)], source)
        await admin.execute("update ingest.message set sent_at = now() where id = $1", late)
        await knowledge.settled()
        plan = await call("ExtractMessages", dry_run=True, source_id=str(source))
        assert (plan.messages, plan.windows, plan.messages_read) == (3, 1, 3)
        only = await call("ExtractMessages", dry_run=True, message_ids=[str(late)])
        assert (only.messages, only.windows, only.messages_read) == (1, 1, 3)


async def pause(deployment: Deployment) -> None:
    """Let half an hour pass in which nobody says anything here: others talk elsewhere."""
    await say(deployment, [("ann", "ok")] * 31)


async def test_late_changes_read_only_what_they_touch(deployment: Deployment) -> None:
    """An edit, a deletion and a new reply cause one reading each: of the window that holds the message or goes on."""
    async with knowing(deployment) as knowledge:
        source, first = await tell(knowledge, DISK, FRIDAY)
        await pause(deployment)
        _, second = await tell(knowledge, OTHER_DISK, SMALL_TALK[0], source=source)
        windows = """select r.window_id, count(*) from extractor.run r
            join extractor.conversation_window c on c.id = r.window_id where c.source_id = $1 group by 1 order by 1"""

        async def readings() -> list[int]:
            return [row["count"] for row in await deployment.admin.fetch(windows, source)]

        assert await readings() == [1, 1]
        await change(deployment, first[0], text=DISK.replace("full", "broken"))
        await knowledge.settled()
        assert await readings() == [2, 1]
        await change(deployment, second[1], deleted=True)
        await knowledge.settled()
        assert await readings() == [2, 2]
        await tell(knowledge, SMALL_TALK[1], source=source)
        assert await readings() == [2, 3]
        await pause(deployment)
        await tell(knowledge, SMALL_TALK[2], source=source)
        assert await readings() == [2, 3, 1]
        assert title(SMALL_TALK[0]) not in await knowledge.live()
