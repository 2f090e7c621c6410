"""What held at a time, as the calls show it."""

import grpc
import pytest

from tests.conftest import Deployment
from tests.extractor.calling import asked, at
from tests.extractor.test_merging import DISK, FRIDAY, MONDAY, SMALL_TALK, tell, title
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types


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
        assert f"no atom {older.id} as of 2026-01-05T09:" in (failure.value.details() or "")
        walked = await call("ListAtomLinks", atom_id=str(older.id), depth=2)
        assert [n.atom.title for n in walked.neighbours if n.depth == 1] == [title(MONDAY)]
        assert [(link.type, link.origin) for link in walked.links] == [
            (types.LINK_TYPE_CONTRADICTS, pb.LINK_ORIGIN_MEANING)
        ]


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
