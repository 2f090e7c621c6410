"""A source that moves takes all that was made of its messages along: nothing is made again, and nothing comes back."""

from typing import Any

import grpc

from services.common.channels import CHANNEL_OPTIONS
from tests.ingest.conftest import SOURCE, UNCHANGED, Ingest, message
from tests.pipeline.test_erasure import ANN, MARIA, SECRET, TALK, erase, finished, ingest, settled
from winnow.extractor.v1 import extractor_pb2
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

__all__ = ["ingest"]

HALL = pb.SourceRef(kind=SOURCE.kind, external_id="hall")
SHIFT = -1_000_000_000
TABLES = """select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('spine', 'ingest', 'extractor', 'embedder') and c.relkind = 'r' order by 1"""
# What the hour and the number of writes decide, and what a move changes.
PASSING = ["external_id", "reply_to_external_id", "content_sha256", "revision", "last_used_at"]


async def everything(ingest: Ingest) -> dict[str, list[str]]:
    """All rows of all tables but the record of former keys."""
    found: dict[str, list[str]] = {}
    for table in await ingest.rows(TABLES):
        name = table["name"]
        rows = await ingest.rows(
            f"select (to_jsonb(t) - $1::text[])::text as row from {name} t", PASSING
        )
        found[name] = sorted(row["row"] for row in rows)
    del found["ingest.former_source"]
    return found


def said(shift: int) -> list[pb.MessageInput]:
    """The conversation under the numbers before the move, or after it."""
    rows = enumerate(TALK)
    return [
        message(60 * n, text, author=author, external_id=str(60 * n + shift))
        for n, (author, text) in rows
    ]


async def approve(ingest: Ingest) -> str:
    """Approve an atom that Maria does not prove; return its id."""
    address = ingest.deployment.address("extractor")
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = ExtractorServiceStub(channel)
        listed = await stub.ListAtoms(extractor_pb2.ListAtomsRequest(), metadata=ingest.metadata)
        (atom,) = [each for each in listed.atoms if "seven days" in each.content]
        request = extractor_pb2.ReviewAtomRequest(
            atom_id=atom.id, approval_state=types.APPROVAL_STATE_APPROVED
        )
        await stub.ReviewAtom(request, metadata=ingest.metadata)
        return str(atom.id)


async def judged(ingest: Ingest) -> list[Any]:
    """The atoms that somebody approved, and which of them are shown."""
    query = (
        "select id::text, retired_at is null from extractor.atom where approval_state = 'approved'"
    )
    return [tuple(row) for row in await ingest.rows(query)]


async def test_all_that_was_made_of_a_source_moves_along(ingest: Ingest) -> None:
    """Moved, and sent again under both its keys, it changes no row of any service; its conversation goes on."""
    atom = await approve(ingest)
    await settled(ingest.deployment)
    before = await everything(ingest)
    request = pb.MoveSourceRequest(source=SOURCE, external_id="hall", number_shift=SHIFT)
    await ingest.stub.MoveSource(request, metadata=ingest.metadata)
    for source, shift in ((SOURCE, 0), (HALL, SHIFT)):
        results = await ingest.send(*said(shift), source=source)
        assert {result.outcome for result in results} == {UNCHANGED}
    await settled(ingest.deployment)
    after = await everything(ingest)
    assert {name for name in before if before[name] != after[name]} == set()
    assert await judged(ingest) == [(atom, True)]

    text = "The restore of db-2 failed with error 53200 after the upgrade, does anybody know why?"
    await ingest.send(message(200, text, author=ANN, external_id="0"), source=HALL)
    await settled(ingest.deployment)
    assert await judged(ingest) == [(atom, True)]
    windows = "select from extractor.conversation_window"
    assert len(await ingest.rows(windows)) == len(before["extractor.conversation_window"])
    done = await finished(ingest, await erase(ingest, author_external_id=MARIA.external_id))
    assert done.receipt.verified
    for source, shift in ((SOURCE, 0), (HALL, SHIFT)):
        await ingest.send(*said(shift), source=source)
    await settled(ingest.deployment)
    left = await ingest.rows("select external_id from ingest.message where deleted_at is null")
    assert {row["external_id"] for row in left} == {str(SHIFT), str(SHIFT + 180), "0"}
    assert not await ingest.rows(
        "select from extractor.atom where strpos(lower(content), $1) > 0", SECRET
    )
