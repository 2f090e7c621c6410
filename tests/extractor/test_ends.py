"""No atom ends before it begins, or where another that was taken for the same had ended."""

from uuid import UUID

import pytest

from tests.conftest import Deployment
from tests.extractor.calling import asked
from tests.extractor.known import Knowledge, knowing
from tests.extractor.saved import change
from tests.extractor.test_merging import (
    DISK,
    FRIDAY,
    MONDAY,
    SMALL_TALK,
    SummingEngine,
    tell,
    title,
)
from winnow.types.v1 import types_pb2 as types

VAIN = "select count(*) from extractor.atom where valid_to <= valid_from"


async def _told(knowledge: Knowledge, *lines: str) -> dict[str, UUID]:
    """Tell small talk and some lines, one after another, and return the atoms of all."""
    for line in (*SMALL_TALK, *lines):
        await tell(knowledge, line)
    live = await knowledge.live()
    return {line: live[title(line)].id for line in (*SMALL_TALK, *lines)}


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_is_taken_apart_ends_by_itself(deployment: Deployment, is_late: bool) -> None:
    """An atom that ended because another was merged into it holds again without it, whenever it was said."""
    async with asked(deployment) as (knowledge, call):
        ids = await _told(knowledge, FRIDAY, *([MONDAY, DISK] if is_late else [DISK, MONDAY]))
        host, friday, monday = ids[DISK], ids[FRIDAY], ids[MONDAY]
        await call("MergeAtoms", atom_id=str(host), merged_atom_ids=[str(friday)])
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].superseded_by == monday
        await call("UnmergeAtom", atom_id=str(friday))
        assert await deployment.admin.fetchval(VAIN) == 0
        await knowledge.settled()
        live = await knowledge.live()
        assert (live[title(DISK)].valid_to, live[title(DISK)].superseded_by) == (None, None)
        assert live[title(FRIDAY)].superseded_by == monday


async def test_what_the_parted_one_had_ended_is_ended_by_it(deployment: Deployment) -> None:
    """What had ended because of an atom that was merged into another is not ended by the other once they are two."""
    async with asked(deployment) as (knowledge, call):
        ids = await _told(knowledge, FRIDAY, MONDAY, DISK)
        host, monday = ids[DISK], ids[MONDAY]
        await call("MergeAtoms", atom_id=str(host), merged_atom_ids=[str(monday)])
        assert (await knowledge.live())[title(FRIDAY)].superseded_by == host
        await call("UnmergeAtom", atom_id=str(monday))
        await knowledge.settled()
        assert (await knowledge.live())[title(FRIDAY)].superseded_by == monday


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_what_stays_merged_keeps_its_end(deployment: Deployment, is_deleted: bool) -> None:
    """Of two that a person merged into an atom one leaves: the end that it has through the other stays, as long."""
    async with asked(deployment) as (knowledge, call):
        _, (leaving, *_) = await tell(knowledge, *SMALL_TALK)
        for line in (FRIDAY, DISK, MONDAY):
            await tell(knowledge, line)
        live = await knowledge.live()
        lines = (DISK, FRIDAY, MONDAY, SMALL_TALK[0])
        host, friday, monday, other = (str(live[title(line)].id) for line in lines)
        await call("MergeAtoms", atom_id=host, merged_atom_ids=[friday, other])
        await knowledge.settled()
        assert str((await knowledge.live())[title(DISK)].superseded_by) == monday
        if is_deleted:
            await change(deployment, leaving, deleted=True)
        else:
            await call("UnmergeAtom", atom_id=other)
        await knowledge.settled()
        assert str((await knowledge.live())[title(DISK)].superseded_by) == monday
        await call("UnmergeAtom", atom_id=friday)
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].valid_to is None


async def test_what_stays_merged_still_ends(deployment: Deployment) -> None:
    """What one atom ends through one that is merged into it stays ended when another leaves it."""
    async with asked(deployment) as (knowledge, call):
        ids = await _told(knowledge, FRIDAY, DISK, MONDAY)
        lines = (DISK, FRIDAY, SMALL_TALK[1], MONDAY, SMALL_TALK[0])
        host, friday, ending, monday, other = (str(ids[line]) for line in lines)
        await call("MergeAtoms", atom_id=host, merged_atom_ids=[friday])
        await call("MergeAtoms", atom_id=ending, merged_atom_ids=[monday, other])
        await knowledge.settled()
        assert str((await knowledge.live())[title(DISK)].superseded_by) == ending
        for leaving, ended_by in ((other, ending), (monday, monday)):
            await call("UnmergeAtom", atom_id=leaving)
            await knowledge.settled()
            assert str((await knowledge.live())[title(DISK)].superseded_by) == ended_by


async def test_what_a_person_approved_as_ended_stays_ended(deployment: Deployment) -> None:
    """What was ended when a person approved it does not hold again because something leaves what had ended it."""
    async with asked(deployment) as (knowledge, call):
        ids = await _told(knowledge, FRIDAY, MONDAY, DISK)
        friday, monday, host = ids[FRIDAY], ids[MONDAY], ids[DISK]
        await call("MergeAtoms", atom_id=str(host), merged_atom_ids=[str(monday)])
        state = types.APPROVAL_STATE_APPROVED
        await call("ReviewAtom", atom_id=str(friday), approval_state=state)
        await call("UnmergeAtom", atom_id=str(monday))
        await knowledge.settled()
        after = (await knowledge.live())[title(FRIDAY)]
        assert (after.state, after.superseded_by) == ("approved", host)


async def test_a_person_keeps_what_ended(deployment: Deployment) -> None:
    """What a person approved as it was keeps its end when something is taken apart from it."""
    async with asked(deployment) as (knowledge, call):
        ids = await _told(knowledge, FRIDAY, DISK, MONDAY)
        friday, disk, monday = ids[FRIDAY], ids[DISK], ids[MONDAY]
        await call("MergeAtoms", atom_id=str(friday), merged_atom_ids=[str(disk)])
        state = types.APPROVAL_STATE_APPROVED
        await call("ReviewAtom", atom_id=str(friday), approval_state=state)
        await call("UnmergeAtom", atom_id=str(disk))
        await knowledge.settled()
        assert (await knowledge.live())[title(FRIDAY)].superseded_by == monday


async def test_what_begins_later_than_it_ended_is_compared_again(deployment: Deployment) -> None:
    """A decision whose first message goes is the later one then, and ends what it contradicts."""
    async with knowing(deployment, engine=SummingEngine()) as knowledge:
        await tell(knowledge, *SMALL_TALK)
        source, (first,) = await tell(knowledge, FRIDAY)
        await tell(knowledge, MONDAY)
        _, (again,) = await tell(knowledge, FRIDAY, source=source)
        live = await knowledge.live()
        assert live[title(FRIDAY)].messages == [first, again]
        assert live[title(FRIDAY)].superseded_by == live[title(MONDAY)].id
        await change(deployment, first, deleted=True)
        await knowledge.settled()
        after = await knowledge.live()
        assert await deployment.admin.fetchval(VAIN) == 0
        assert after[title(FRIDAY)].messages == [again]
        assert after[title(FRIDAY)].superseded_by is None
        assert after[title(MONDAY)].superseded_by == after[title(FRIDAY)].id
