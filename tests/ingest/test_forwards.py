"""Where messages were forwarded from: kept, told wherever a message is, and gone with what is erased."""

import pytest

from tests.ingest.conftest import CREATED, SOURCE, UNCHANGED, UPDATED, Ingest, at, message
from tests.ingest.test_rpc import get
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

BOB = types.ForwardOrigin(external_id="user9", name="Bob")


async def test_a_later_import_adds_it(ingest: Ingest) -> None:
    """What was stored before it was kept gets it when it is imported again, and never loses it to the same without."""
    plain = [message(n, f"message {n}") for n in range(20)]
    forwarded = [message(n, f"message {n}", forwarded_from=BOB) for n in range(20)]
    assert set(await ingest.outcomes(*plain)) == {CREATED}
    assert set(await ingest.outcomes(*forwarded)) == {UPDATED}
    assert set(await ingest.outcomes(*plain)) == {UNCHANGED}
    assert set(await ingest.outcomes(*forwarded, *plain)) == {UNCHANGED}
    request = pb.ListMessagesRequest(page_size=20)
    listed = (await ingest.stub.ListMessages(request, metadata=ingest.metadata)).messages
    assert [each.forwarded_from for each in listed] == [BOB] * 20


async def test_of_one_batch_the_version_that_says_it_stays(ingest: Ingest) -> None:
    """Whichever comes first."""
    sent = [[message(n), message(n, forwarded_from=BOB)] for n in range(10)]
    results = await ingest.send(*(each for n in range(10) for each in sent[n][:: (-1) ** n]))
    found = [await get(ingest, result.message_id) for result in results]
    assert [each.forwarded_from for each in found] == [BOB] * 20


@pytest.mark.parametrize("origin", [types.ForwardOrigin(), types.ForwardOrigin(name="Bob")])
async def test_that_it_was_forwarded_is_kept_even_if_no_more_is_known(
    ingest: Ingest, origin: types.ForwardOrigin
) -> None:
    """A message forwarded from nobody knows whom is told from one that its author wrote."""
    results = await ingest.send(message(1, forwarded_from=origin), message(2))
    one, other = [await get(ingest, result.message_id) for result in results]
    assert (one.HasField("forwarded_from"), one.forwarded_from) == (True, origin)
    assert not other.HasField("forwarded_from")


async def test_what_is_not_forwarded_is_the_same_as_before(ingest: Ingest) -> None:
    """Importing again after an upgrade changes no message that is no forward: its hash is made of the same."""
    await ingest.send(message(1, "hello"))
    [row] = await ingest.rows("select encode(content_sha256, 'hex') as hash from ingest.message")
    assert row["hash"] == "9dbeddd17cccadce5e2a4e2f6494abd05d399f56ba1c6bba052c8ca843f8630b"


async def test_what_a_later_release_has_stored_besides_is_left_out(ingest: Ingest) -> None:
    """While replicas of two releases run, or after going back to the one before, what it knows of a message is told."""
    span, file = types.Entity(type="bold", length=2), types.Attachment(type="photo", size_bytes=9)
    said = message(1, "hello", forwarded_from=BOB, entities=[span], attachments=[file])
    [result] = await ingest.send(said)
    await ingest.deployment.admin.execute(
        """update ingest.message set forwarded_from = forwarded_from || '{"later": 1}',
             entities = jsonb_build_array(entities -> 0 || '{"later": {}}'),
             attachments = jsonb_build_array(attachments -> 0 || '{"later": []}')"""
    )
    found = await get(ingest, result.message_id)
    assert found.forwarded_from == BOB
    assert (list(found.entities), list(found.attachments)) == ([span], [file])
    edit = pb.UpdateMessageRequest(
        source=SOURCE, external_id="1", text="hello there", edited_at=at(9)
    )
    edited = await ingest.stub.UpdateMessage(edit, metadata=ingest.metadata)
    assert edited.result.outcome == UPDATED


async def test_it_is_erased(ingest: Ingest) -> None:
    """Nothing of an erased message is left, and the receipt looks for this as well."""
    await ingest.send(message(1, forwarded_from=BOB, author=types.Author(external_id="ann")))
    request = pb.EraseMessagesRequest(author_external_id="ann")
    operation = (await ingest.stub.EraseMessages(request, metadata=ingest.metadata)).operation
    [row] = await ingest.rows("select forwarded_from from ingest.message")
    assert row["forwarded_from"] is None
    before = await ingest.rows(
        "select remaining from spine.erasure_receipt($1, $2)",
        ingest.deployment.workspace,
        operation.id,
    )
    await ingest.rows("update ingest.message set forwarded_from = '{}'")
    after = await ingest.rows(
        "select remaining from spine.erasure_receipt($1, $2)",
        ingest.deployment.workspace,
        operation.id,
    )
    assert after[0]["remaining"] == before[0]["remaining"] + 1
