"""What people say of what is merged, and erasure through merges."""

from uuid import UUID

import grpc
import pytest

from services.common.ids import uuid7
from services.extractor import bonds
from services.extractor.rules import ApprovalRule
from tests.conftest import Deployment
from tests.extractor.calling import asked, erase
from tests.extractor.known import knowing
from tests.extractor.saved import change, say
from tests.extractor.test_merging import (
    DISK,
    FRIDAY,
    MONDAY,
    OTHER_DISK,
    SMALL_TALK,
    SUNDAY,
    tell,
    title,
)
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types


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


@pytest.mark.parametrize("method", ["ReviewAtom", "InvalidateAtom", "UpdateAtom"])
async def test_what_holds_again_is_compared_again(deployment: Deployment, method: str) -> None:
    """A decision that one ended which is no longer believed is ended by another that contradicts it."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        for line in (FRIDAY, MONDAY, SUNDAY):
            await tell(knowledge, line)
        live = await knowledge.live()
        assert live[title(FRIDAY)].superseded_by == live[title(MONDAY)].id
        changes = {
            "ReviewAtom": {"approval_state": 3},
            "InvalidateAtom": {},
            "UpdateAtom": {"title": "Rooms", "content": "The large hall has twenty chairs"},
        }
        await call(method, atom_id=str(live[title(MONDAY)].id), **changes[method])
        await knowledge.settled()
        live = await knowledge.live()
        assert live[title(FRIDAY)].superseded_by == live[title(SUNDAY)].id


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


async def test_what_was_taken_apart_does_not_meet_in_another_atom(deployment: Deployment) -> None:
    """Two that a person keeps apart do not both join a third that says the same, at once or one after the other."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, DISK)
        await tell(knowledge, DISK)
        one, two = sorted(await knowledge.atoms(), key=lambda atom: atom.id)
        assert two.merged_into == one.id
        await call("UnmergeAtom", atom_id=str(two.id))
        await tell(knowledge, OTHER_DISK)
        (third,) = [each for each in await knowledge.atoms() if each.title == title(OTHER_DISK)]
        same = (await call("GetAtom", atom_id=str(one.id))).atom
        words = {"title": same.title, "content": same.content}
        await call("UpdateAtom", atom_id=str(third.id), **words)
        await knowledge.settled()
        proposed = types.APPROVAL_STATE_PROPOSED
        await call("ReviewAtom", atom_id=str(two.id), approval_state=proposed)
        await knowledge.settled()
        merged = {atom.id: atom.merged_into for atom in await knowledge.atoms()}
        assert merged == {one.id: third.id, two.id: None, third.id: None}


async def test_another_type_is_compared_like_other_words(deployment: Deployment) -> None:
    """An atom that gets another type and keeps its words is linked to what it says something about, as before."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        await tell(knowledge, FRIDAY)
        await tell(knowledge, MONDAY)
        before = await knowledge.links()
        assert (title(MONDAY), "contradicts", title(FRIDAY)) in before
        newer = (await knowledge.live())[title(MONDAY)]
        await call("UpdateAtom", atom_id=str(newer.id), type=types.ATOM_TYPE_REQUIREMENT)
        await knowledge.settled()
        assert await knowledge.links() == before


async def test_a_repeated_request_is_answered_like_the_first(deployment: Deployment) -> None:
    """A review whose answer was lost is no failure when it is sent again, though its atom was merged meanwhile."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, DISK, OTHER_DISK)
        live = await knowledge.live()
        one, two = live[title(DISK)], live[title(OTHER_DISK)]
        state = types.APPROVAL_STATE_APPROVED
        review = {"atom_id": str(two.id), "approval_state": state, "request_id": str(uuid7())}
        await call("ReviewAtom", **review)
        await call("MergeAtoms", atom_id=str(one.id), merged_atom_ids=[str(two.id)])
        again = await call("ReviewAtom", **review)
        assert (again.atom.merged_into_id, again.atom.approval_state) == (str(one.id), state)


async def cite(deployment: Deployment, atom: UUID, source: UUID, authors: str) -> None:
    """Let an atom rest on a message more of each of some people, said in the order given."""
    _, ids = await say(deployment, [(author, "so it is") for author in authors], source)
    await deployment.admin.execute(
        """insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
           select $1, $2, m.id, m.number, 'so it is', 0 from unnest($3::uuid[]) with ordinality m (id, number)""",
        deployment.workspace,
        atom,
        ids,
    )


async def test_every_merged_atom_shows_some_of_its_evidence(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more evidence than an atom takes it has the first of each merged atom, then of everybody; none is lost."""
    monkeypatch.setattr(bonds, "BORROWED_MAX", 7)
    async with asked(deployment) as (knowledge, call):
        lines = (DISK, FRIDAY, SMALL_TALK[0])
        told = [await tell(knowledge, line) for line in lines]
        live = await knowledge.live()
        for line, (source, _) in zip(lines, told, strict=True):
            await cite(deployment, live[title(line)].id, source, "aaaaabbc")
        live = await knowledge.live()
        atom, *others = (live[title(line)] for line in lines)
        before = {each.id: each.messages for each in live.values()}
        named = [str(each.id) for each in others]
        merged = await call("MergeAtoms", atom_id=str(atom.id), merged_atom_ids=named)
        shown = [each.message_id for each in merged.atom.evidence]
        borrowed = shown[len(before[atom.id]) :]
        assert shown[: len(before[atom.id])] == [str(each) for each in before[atom.id]]
        authors = """select array_agg(author_external_id order by id) from ingest.message
                     where id = any ($1) and id = any ($2)"""
        said = [await deployment.admin.fetchval(authors, borrowed, before[o.id]) for o in others]
        assert said == [["ann", "a", "b", "c"], ["ann", "a", "b"]]
        for each in named:
            await call("UnmergeAtom", atom_id=each)
        after = {each.id: each.messages for each in await knowledge.atoms()}
        assert after == before
