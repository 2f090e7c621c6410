"""Atoms that are asked for by their ids come in as few replies as hold them."""

from uuid import uuid4

import grpc
import pytest

from tests.conftest import Deployment
from tests.extractor.calling import asked
from tests.extractor.test_merging import DISK, FRIDAY, SMALL_TALK, tell, title
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types


async def test_what_is_named_is_listed_whatever_became_of_it(deployment: Deployment) -> None:
    """As GetAtom returns them: a live, a rejected and an invalidated atom; ids that nothing has are passed over."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, FRIDAY, DISK, *SMALL_TALK)
        live = await knowledge.live()
        ids = [str(live[title(text)].id) for text in (FRIDAY, DISK, SMALL_TALK[0])]
        await call("ReviewAtom", atom_id=ids[1], approval_state=types.APPROVAL_STATE_REJECTED)
        await call("InvalidateAtom", atom_id=ids[2])
        named = [*ids, ids[0].upper(), str(uuid4())]
        listed = (await call("ListAtoms", atom_ids=named, include_messages=True)).atoms
        single = [(await call("GetAtom", atom_id=each)).atom for each in sorted(ids, reverse=True)]
        assert list(listed) == single
        judged = await call("ListAtoms", atom_ids=ids, approval_state=types.APPROVAL_STATE_REJECTED)
        assert [atom.id for atom in judged.atoms] == [ids[1]]


async def test_what_is_named_comes_in_pages(deployment: Deployment) -> None:
    """Each once and the newest first; a token goes on with the ids that it was given for, and with no others."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, *SMALL_TALK)
        every = [atom.id for atom in (await call("ListAtoms")).atoms]
        named, found, token = every[1:], list[str](), ""
        while True:
            page = await call("ListAtoms", atom_ids=named, page_size=1, page_token=token)
            found += [atom.id for atom in page.atoms]
            if not page.next_page_token:
                break
            token = page.next_page_token
        assert found == named
        assert len(found) > 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call("ListAtoms", atom_ids=every, page_size=1, page_token=token)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_nobody_names_the_atoms_of_others(deployment: Deployment) -> None:
    """An id of another workspace is one that nothing has."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, FRIDAY)
        (atom,) = (await call("ListAtoms")).atoms
        call._metadata = await deployment.other_workspace()
        assert await call("ListAtoms", atom_ids=[atom.id]) == pb.ListAtomsResponse()
