"""Erasing messages through all services: nothing of them is left anywhere, and what remains is read again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder import store as embedder_store
from services.embedder.service import open_service as open_embedder
from services.extractor import erasing as extractor_erasing
from services.ingest import erasing as ingest_erasing
from tests.conftest import Deployment
from tests.embedder.conftest import fake_models
from tests.ingest.conftest import SOURCE, UNCHANGED, Ingest, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.types.v1 import types_pb2 as types

SECRET = "zanzibarine"
MARIA = types.Author(external_id=f"maria-{SECRET}", name=f"Maria {SECRET}")
ANN = types.Author(external_id="ann", name="Ann")
TALK = [
    (ANN, "The nightly backup failed again with error 53100, disk full on db-2. Any idea why?"),
    (MARIA, f"The {SECRET} archive was never pruned, so /var/lib/{SECRET} grew to 400 GB."),
    (MARIA, f"Fixed: I set archive_cleanup_command to {SECRET}, the backup passes now."),
    (ANN, "Let's decide: we keep seven days of WAL, not thirty."),
]
COLUMNS = """select c.oid::regclass::text as name, array_agg(a.attname::text) as columns from pg_class c
  join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
  where n.nspname in ('spine', 'ingest', 'extractor', 'embedder') and c.relkind in ('r', 'p') and not a.attisdropped
    and format_type(a.atttypid, null) in ('text', 'text[]', 'bytea', 'jsonb', 'tsvector') group by c.oid"""


async def places_of(deployment: Deployment, word: str) -> list[str]:
    """Every column of every table in which a word stands, as text or as bytes."""
    found, hexadecimal = [], word.encode().hex()
    for table in await deployment.admin.fetch(COLUMNS):
        for column in table["columns"]:
            count = await deployment.admin.fetchval(
                f"""select count(*) from {table["name"]}
                    where strpos(lower({column}::text), $1) > 0 or strpos({column}::text, $2) > 0""",
                word,
                hexadecimal,
            )
            if count:
                found.append(f"{table['name']}.{column}")
    return sorted(found)


async def settled(deployment: Deployment) -> None:
    """Wait until every task is done and no window is open."""
    for _ in range(1200):
        left = await deployment.admin.fetchval(
            """select (select count(*) from spine.task where state <> 'done')
                    + (select count(*) from extractor.pending_message)"""
        )
        if not left:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(
        await deployment.admin.fetch("select * from spine.task where state <> 'done'")
    )


@pytest.fixture
async def ingest(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ingest]:
    """A client of ingest, with an extractor and an embedder behind it that have worked on a conversation."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.1")
    # Reconciliation all the time: it must leave to an erasure what the receipt counts.
    monkeypatch.setenv("WINNOW_EMBED_RECONCILE_SECONDS", "0.001")
    monkeypatch.setattr("services.embedder.reconciliation._REST_FACTOR", 0)
    async with AsyncExitStack() as stack:
        embedder = await stack.enter_async_context(open_embedder(fake_models(FakeEncoder(8))))
        await stack.enter_async_context(serving(embedder))
        channel = await stack.enter_async_context(deployment.serving("ingest"))
        client = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
        await stack.enter_async_context(deployment.serving("extractor"))
        await say(client)
        await settled(deployment)
        yield client


async def say(ingest: Ingest, metadata: Any = None) -> list[UUID]:
    """Send the conversation; return the ids of its messages."""
    messages = [message(60 * n, text, author=author) for n, (author, text) in enumerate(TALK)]
    request = pb.IngestMessagesRequest(source=SOURCE, messages=messages)
    reply = await ingest.stub.IngestMessages(request, metadata=metadata or ingest.metadata)
    return [UUID(result.message_id) for result in reply.results]


async def source_id(ingest: Ingest) -> str:
    """The id of the only source of the workspace."""
    query = "select id from ingest.source where workspace_id = $1"
    return str(await ingest.deployment.admin.fetchval(query, ingest.deployment.workspace))


async def finished(ingest: Ingest, operation: pb.Operation) -> pb.Operation:
    """Wait for the end of an operation and of what it has asked for; return it."""
    await settled(ingest.deployment)
    request = pb.GetOperationRequest(operation_id=operation.id)
    return (await ingest.stub.GetOperation(request, metadata=ingest.metadata)).operation


async def erase(ingest: Ingest, **fields: Any) -> pb.Operation:
    """Begin to erase messages."""
    request = pb.EraseMessagesRequest(**fields)
    return (await ingest.stub.EraseMessages(request, metadata=ingest.metadata)).operation


async def expected(ingest: Ingest) -> dict[str, int]:
    """What an erasure of all that Maria said has to count, told by the tables before it."""
    row = await ingest.deployment.admin.fetchrow(
        """with hers as (select id from ingest.message where author_external_id = $1),
             quote as (select atom_id, message_id in (select id from hers) as is_hers from extractor.atom_evidence),
             cited as (select atom_id, bool_and(is_hers) as alone from quote group by atom_id having bool_or(is_hers))
           select (select count(*) from hers) as messages,
             (select count(*) from quote where is_hers) as evidence,
             (select count(*) from cited where alone) as atoms,
             (select count(*) from cited where not alone) as atoms_read_again,
             (select count(*) from extractor.topic_message join hers on hers.id = message_id) as topic_links,
             (select count(*) from extractor.window_message join hers on hers.id = message_id)
               as window_memberships""",
        MARIA.external_id,
    )
    return dict(row)


async def test_nothing_of_an_author_is_left(ingest: Ingest) -> None:
    """After an erasure no column of any table has a word of theirs, and the receipt counts what there was."""
    before = await places_of(ingest.deployment, SECRET)
    assert {
        "ingest.message.text",
        "extractor.atom.content",
        "extractor.atom_evidence.quote",
    } <= set(before)
    counts = await expected(ingest)
    assert counts["evidence"]
    assert counts["atoms"] + counts["atoms_read_again"]
    operation = await erase(ingest, author_external_id=MARIA.external_id)
    assert (
        await ingest.rows("select count(*) from ingest.message where text like $1", f"%{SECRET}%")
    )[0][0] == 0
    done = await finished(ingest, operation)
    assert await places_of(ingest.deployment, SECRET) == []
    assert (done.kind, done.state) == (pb.OPERATION_KIND_ERASE, pb.OPERATION_STATE_SUCCEEDED)
    assert done.receipt.verified
    assert done.receipt.remaining == 0
    assert {name: getattr(done.receipt, name) for name in counts} == counts
    removed = counts["atoms"] + counts["atoms_read_again"]
    assert done.receipt.vectors >= counts["messages"] + removed
    assert done.HasField("finished_at")
    assert await ingest.rows("select from extractor.atom where retired_at is null")


async def test_chunks_add_up_to_the_same(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is worked off chunk by chunk ends as what is erased at once: nothing left, everything counted, once."""
    monkeypatch.setattr(ingest_erasing, "CHUNK_MESSAGES", 1)
    monkeypatch.setattr(ingest_erasing, "INLINE_MESSAGES_MAX", 0)
    counts = await expected(ingest)
    operation = await erase(ingest, author_external_id=MARIA.external_id)
    while not (operation.receipt.verified or operation.finished_at.seconds):
        request = pb.GetOperationRequest(operation_id=operation.id)
        reply = await ingest.stub.GetOperation(request, metadata=ingest.metadata)
        operation = reply.operation
        # At every moment what is done and what waits are all of it, and only the end is called the end.
        assert operation.receipt.messages + operation.receipt.waiting == counts["messages"]
    assert await places_of(ingest.deployment, SECRET) == []
    assert operation.state == pb.OPERATION_STATE_SUCCEEDED
    assert operation.receipt.verified
    assert {name: getattr(operation.receipt, name) for name in counts} == counts
    removed = counts["atoms"] + counts["atoms_read_again"]
    assert operation.receipt.vectors >= counts["messages"] + removed
    await settled(ingest.deployment)


async def test_what_was_edited_is_gone_too(ingest: Ingest) -> None:
    """Words that only earlier versions of messages and atoms had are gone after an erasure."""
    texts = {n: text.replace(SECRET, "plain") for n, (_, text) in enumerate(TALK)}
    edited_at = message(10**6).sent_at
    fields = {"author": MARIA, "edited_at": edited_at}
    await ingest.send(*(message(60 * n, texts[n], **fields) for n in (1, 2)))
    await settled(ingest.deployment)
    assert "extractor.atom_version.content" in await places_of(ingest.deployment, SECRET)
    done = await finished(ingest, await erase(ingest, author_external_id=MARIA.external_id))
    assert done.receipt.verified
    assert await places_of(ingest.deployment, SECRET) == []
    assert await places_of(ingest.deployment, "plain") == []


async def test_erased_messages_do_not_come_back(ingest: Ingest) -> None:
    """A re-import of erased messages is UNCHANGED and brings no word back; neither does an edit."""
    source = await source_id(ingest)
    await finished(ingest, await erase(ingest, source_id=source, external_ids=["60", "120", "new"]))
    texts = {"60": SECRET, "120": SECRET, "new": SECRET}
    for fields in ({}, {"edited_at": message(10**6).sent_at}):
        again = [message(60, text, external_id=key, **fields) for key, text in texts.items()]
        results = await ingest.send(*again)
        assert [(each.outcome, each.superseded) for each in results] == [(UNCHANGED, True)] * 3
    await settled(ingest.deployment)
    assert await places_of(ingest.deployment, SECRET) == []
    edit = pb.UpdateMessageRequest(
        source=SOURCE, external_id="60", text=SECRET, edited_at=message(10**6).sent_at
    )
    error = await failure(ingest.stub.UpdateMessage(edit, metadata=ingest.metadata))
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_whole_source_with_its_title(ingest: Ingest) -> None:
    """EraseSource leaves no text, no atom, no topic, no vector and no title."""
    request = pb.EraseSourceRequest(source_id=await source_id(ingest))
    reply = await ingest.stub.EraseSource(request, metadata=ingest.metadata)
    done = await finished(ingest, reply.operation)
    assert done.receipt.verified
    assert done.receipt.messages == len(TALK)
    for table in (
        "extractor.atom",
        "extractor.topic",
        "embedder.vector",
        "extractor.window_message",
    ):
        assert not await ingest.rows(f"select from {table}"), table
    assert not await ingest.rows("select from ingest.source where title <> ''")
    assert await places_of(ingest.deployment, "nightly") == []


FAILING = """
    create sequence public.death;
    create function public.die() returns trigger language plpgsql security definer as $$
    begin
      if nextval('public.death') <= 4 then
        raise exception 'the worker is killed';
      end if;
      return new;
    end $$;
    create trigger die after insert on extractor.erasure for each row execute function public.die();
    create trigger die after insert on embedder.erasure for each row execute function public.die()"""


async def test_a_crash_changes_no_receipt(ingest: Ingest) -> None:
    """Work that is lost before its commit is repeated, and nothing is counted twice or missed."""
    await ingest.deployment.admin.execute(FAILING)
    counts = await expected(ingest)
    done = await finished(ingest, await erase(ingest, author_external_id=MARIA.external_id))
    assert (await ingest.rows("select last_value from public.death"))[0][0] > 4
    assert {name: getattr(done.receipt, name) for name in counts} == counts
    assert done.receipt.verified
    assert await places_of(ingest.deployment, SECRET) == []


async def test_a_repeated_request_is_one_operation(ingest: Ingest) -> None:
    """The same request_id returns the same operation; without it a second erasure finds nothing."""
    request = {"author_external_id": MARIA.external_id, "request_id": str(uuid4())}
    first = await erase(ingest, **request)
    assert (await erase(ingest, **request)).id == first.id
    other = pb.RescoreMessagesRequest(request_id=request["request_id"])
    refused = await failure(ingest.stub.RescoreMessages(other, metadata=ingest.metadata))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in str(refused.details())
    second = await finished(ingest, await erase(ingest, author_external_id=MARIA.external_id))
    assert (second.state, second.receipt.messages) == (pb.OPERATION_STATE_SUCCEEDED, 0)
    listed = await ingest.stub.ListOperations(
        pb.ListOperationsRequest(page_size=1), metadata=ingest.metadata
    )
    assert [each.id for each in listed.operations] == [second.id]
    following = pb.ListOperationsRequest(page_size=1, page_token=listed.next_page_token)
    listed = await ingest.stub.ListOperations(following, metadata=ingest.metadata)
    assert [each.id for each in listed.operations] == [first.id]


async def test_other_workspaces_keep_what_they_have(ingest: Ingest) -> None:
    """The same author and keys in another workspace are untouched, and its key sees no operation of ours."""
    other = await ingest.deployment.other_workspace()
    theirs = await say(ingest, other)
    await settled(ingest.deployment)
    query = """select (select count(*) from ingest.message where workspace_id <> $1 and text <> ''),
      (select count(*) from extractor.atom where workspace_id <> $1),
      (select count(*) from embedder.vector where workspace_id <> $1)"""
    before = await ingest.rows(query, ingest.deployment.workspace)
    assert before[0][0] == len(theirs)
    done = await finished(ingest, await erase(ingest, author_external_id=MARIA.external_id))
    assert done.receipt.messages == 2
    assert await ingest.rows(query, ingest.deployment.workspace) == before
    request = pb.GetOperationRequest(operation_id=done.id)
    error = await failure(ingest.stub.GetOperation(request, metadata=other))
    assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"external_ids": ["1"]},
        {"author_external_id": "a", "external_ids": ["1"], "source_id": str(uuid4())},
    ],
)
async def test_unclear_requests_are_refused(ingest: Ingest, fields: dict[str, Any]) -> None:
    """An erasure names keys of a source or an author, and not both; anything else is INVALID_ARGUMENT."""
    request = pb.EraseMessagesRequest(**fields)
    error = await failure(ingest.stub.EraseMessages(request, metadata=ingest.metadata))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_every_query_prepares_under_its_role(deployment: Deployment) -> None:
    """Each owner may run every query of its part of an erasure."""
    owners = {
        "winnow_extractor": extractor_erasing.QUERIES,
        "winnow_embedder": embedder_store.QUERIES,
    }
    for role, queries in owners.items():
        await deployment.admin.execute(f"set role {role}")
        for query in queries.values():
            await deployment.admin.prepare(query)
        await deployment.admin.execute("reset role")
