"""Scoring stored messages again, in the background and batch by batch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
import pytest

from services.ingest.operations import QUERIES
from services.ingest.rescoring import BATCH_MESSAGES
from tests.ingest.conftest import SOURCE, Ingest, at, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

SAID = [
    ("ann", "How do I install it on Debian 12 with PostgreSQL 18?"),
    ("bob", "ann: run apt install winnow, then `winnow up`, and it works."),
    ("ann", "thanks!"),
    ("bob", "ok"),
    ("cho", "The import fails with error 53100, disk full. Any idea why?"),
]
SCORES = """select external_id, importance_score, importance_label, importance_factors, importance_version
            from ingest.message order by external_id"""
FAILING = """
    create sequence public.death;
    create function public.die() returns trigger language plpgsql security definer as $$
    begin
      if nextval('public.death') <= 2 then
        raise exception 'the worker is killed';
      end if;
      return new;
    end $$;
    create trigger die after insert on ingest.rescored_batch for each row execute function public.die()"""

WAITING = """
    create function public.wait() returns trigger language plpgsql security definer as $$
    begin
      perform pg_advisory_xact_lock_shared(42);
      return new;
    end $$;
    create trigger wait before insert on ingest.rescored_batch for each row execute function public.wait()"""


@asynccontextmanager
async def held_up(ingest: Ingest) -> AsyncIterator[None]:
    """Keep a batch that has its new scores from being counted and committed."""
    admin = ingest.deployment.admin
    await admin.execute(WAITING)
    await admin.execute("select pg_advisory_lock(42)")
    try:
        yield
    finally:
        await admin.execute("select pg_advisory_unlock(42)")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat what failed without much waiting."""
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.1")


async def say(ingest: Ingest, count: int) -> None:
    """Send a conversation of so many messages, in order, in two threads."""
    messages = [
        message(
            number,
            SAID[number % len(SAID)][1],
            author=types.Author(external_id=SAID[number % len(SAID)][0]),
            thread_id="side" if number >= count - 7 else "",
            reply_to_external_id=str(number - 1) if number % 5 == 1 else "",
        )
        for number in range(count)
    ]
    for start in range(0, count, 500):
        await ingest.send(*messages[start : start + 500])


async def rescore(ingest: Ingest, **fields: Any) -> pb.RescoreReceipt:
    """Score messages again; wait for the end and return the receipt."""
    request = pb.RescoreMessagesRequest(**fields)
    operation = (await ingest.stub.RescoreMessages(request, metadata=ingest.metadata)).operation
    while operation.state == pb.OPERATION_STATE_RUNNING:
        await asyncio.sleep(0.05)
        assert not operation.tasks_dead
        asked = pb.GetOperationRequest(operation_id=operation.id)
        reply = await ingest.stub.GetOperation(asked, metadata=ingest.metadata)
        operation = reply.operation
    assert operation.kind == pb.OPERATION_KIND_RESCORE
    return operation.rescore_receipt


async def spoil(ingest: Ingest) -> None:
    """Make every score one of another scorer, which called all of it noise."""
    await ingest.deployment.admin.execute(
        """update ingest.message set importance_score = 0.01, importance_label = 'noise',
             importance_factors = '{"base": 0.01}', importance_version = 'older'"""
    )


async def test_rescoring_gives_what_ingest_gave(ingest: Ingest) -> None:
    """A rescore ends with the scores of messages that came in order, and a second changes nothing."""
    count = BATCH_MESSAGES + 60
    await say(ingest, count)
    wanted = await ingest.rows(SCORES)
    assert (await rescore(ingest)).scores_changed == 0
    await spoil(ingest)
    spoilt = await ingest.rows(SCORES)
    dry = await rescore(ingest, dry_run=True)
    assert (dry.messages, dry.scores_changed, dry.dry_run) == (count, count, True)
    assert await ingest.rows(SCORES) == spoilt
    done = await rescore(ingest)
    assert await ingest.rows(SCORES) == wanted
    assert (done.messages, done.scores_changed) == (count, count)
    labels = [row["importance_label"] for row in wanted]
    assert (done.became_weak, done.became_signal) == (labels.count("weak"), labels.count("signal"))
    assert (done.became_noise, done.labels_changed) == (0, count - labels.count("noise"))
    assert dry.labels_changed == done.labels_changed
    again = await rescore(ingest)
    assert (again.messages, again.scores_changed, again.labels_changed) == (count, 0, 0)


async def test_what_matters_now_is_read(ingest: Ingest) -> None:
    """Exactly the messages that are no longer noise ask that their windows be read."""
    await say(ingest, 5)
    await spoil(ingest)
    await rescore(ingest)
    asked = await ingest.rows(
        "select subject_id as id from spine.task where stage = 'window' and spec like 'changed:rescored:%'"
    )
    risen = await ingest.rows("select id from ingest.message where importance_label <> 'noise'")
    assert risen
    assert {row["id"] for row in asked} == {row["id"] for row in risen}


async def test_a_crash_counts_nothing_twice(ingest: Ingest) -> None:
    """A batch that is lost before its commit is repeated."""
    await say(ingest, 5)
    wanted = await ingest.rows(SCORES)
    await spoil(ingest)
    await ingest.deployment.admin.execute(FAILING)
    done = await rescore(ingest)
    assert (done.messages, done.scores_changed) == (5, 5)
    assert await ingest.rows(SCORES) == wanted


async def test_only_what_is_asked_for_is_scored(ingest: Ingest) -> None:
    """Source and period narrow a rescore; deleted messages are left out; an unknown source is NOT_FOUND."""
    await say(ingest, 5)
    other = pb.SourceRef(kind=SOURCE.kind, external_id="elsewhere")
    await ingest.send(message(9, "Elsewhere"), source=other)
    await ingest.delete("0")
    (source,) = await ingest.rows("select id from ingest.source where external_id = 'room'")
    assert (await rescore(ingest)).messages == 5
    assert (await rescore(ingest, source_id=str(source["id"]))).messages == 4
    assert (await rescore(ingest, sent_after=at(2), sent_before=at(4))).messages == 2
    request = pb.RescoreMessagesRequest(source_id=str(uuid4()))
    error = await failure(ingest.stub.RescoreMessages(request, metadata=ingest.metadata))
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def ask(ingest: Ingest) -> None:
    """Send a question and a short answer, which is one only in its light."""
    said = [("cho", "hm"), ("ann", "Which database does billing use?"), ("bob", "postgres 16")]
    await ingest.send(
        *(
            message(number, text, author=types.Author(external_id=author))
            for number, (author, text) in enumerate(said)
        )
    )


async def test_what_is_deleted_was_said(ingest: Ingest) -> None:
    """A message that has been deleted since is left out, and those after it are still seen in its light."""
    await ask(ingest)
    await ingest.delete("1", "unknown")
    wanted = await ingest.rows(SCORES)
    done = await rescore(ingest)
    assert (done.messages, done.scores_changed) == (2, 0)
    assert await ingest.rows(SCORES) == wanted


async def test_an_edit_beside_a_rescore(ingest: Ingest) -> None:
    """What is edited after a batch was read and before it is stored is seen by the messages after it."""
    await ask(ingest)
    await spoil(ingest)
    admin = ingest.deployment.admin
    async with admin.transaction():
        await admin.execute("select from ingest.message where external_id = '0' for update")
        rescoring = asyncio.create_task(rescore(ingest))
        await ingest.waiting_for_a_lock()
        await ingest.send(message(1, "Billing has no database.", edited_at=at(60)))
    await rescoring
    assert (await rescore(ingest)).scores_changed == 0


async def test_a_late_message_beside_a_rescore(ingest: Ingest) -> None:
    """What comes in between while a batch is stored is seen by the messages after it."""
    await ask(ingest)
    await spoil(ingest)
    async with held_up(ingest):
        rescoring = asyncio.create_task(rescore(ingest))
        await ingest.waiting_for_a_lock()
        late = message(6, "Billing moves to another host.", sent_at=at(1.5))
        sending = asyncio.create_task(ingest.send(late))
        await asyncio.wait([sending], timeout=0.5)
    await asyncio.gather(rescoring, sending)
    assert (await rescore(ingest)).scores_changed == 0


async def test_every_query_prepares_under_its_role(ingest: Ingest) -> None:
    """The role of ingest may run every query of its operations."""
    await ingest.deployment.admin.execute("set role winnow_ingest")
    for query in QUERIES.values():
        await ingest.deployment.admin.prepare(query)
    await ingest.deployment.admin.execute("reset role")
