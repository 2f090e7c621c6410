"""What a sender is believed to have sent, before and after a surprise."""

import asyncio
from dataclasses import replace

from services.ingest.gate import Scored
from services.ingest.intake import Batch, Sender
from services.ingest.memory import Recalled
from services.ingest.messages import EPOCH, draft
from services.ingest.store import SourceKey
from services.ingest.wording import Context, ScoredInput, read


def prepared(sender: Sender, key: str = "1", thread: str = "") -> Batch:
    """A batch of one message that is about to be saved."""
    each = draft(key, thread, "", ("", "", False), "text", EPOCH, None, None, None)
    batch = Batch(sender, SourceKey("api", "room"), [each], {key: each}, Scored({}, {}), 0, {})
    sender.prepared(batch)
    return batch


async def test_what_was_sent_is_believed() -> None:
    """Batches that wait to be saved hold nothing up as long as nothing surprises."""
    sender = Sender()
    prepared(sender)
    assert await asyncio.wait_for(sender.remember(), 60) is sender.memory


async def test_a_surprise_ends_with_the_batches_under_way() -> None:
    """After a surprise the next batch waits until all before it are stored; the one after it waits for nothing."""
    sender = Sender()
    batches = [prepared(sender) for _ in range(3)]
    sender.surprised()
    waiting = asyncio.create_task(sender.remember())
    for batch in batches:
        await asyncio.sleep(0)
        assert not waiting.done()
        sender.surprised()
        sender.saved(batch)
    await waiting
    prepared(sender)
    assert await asyncio.wait_for(sender.remember(), 60) is sender.memory


async def test_nothing_is_believed_that_was_recalled_before_a_surprise() -> None:
    """A batch that waits for what is being saved, which turns out to be a surprise, recalls nothing of before that."""
    sender, source = Sender(), SourceKey("api", "room")
    batch = prepared(sender, "7", "deploy")
    lunch, deploy = (
        draft(key, key, "", ("", "", False), "text", EPOCH, None, None, None)
        for key in ("lunch", "deploy")
    )
    known = sender.memory.recall(source, [lunch])
    known.tails["lunch"].add(read(ScoredInput("", "text"), Context()), (EPOCH, 1, "0"))
    known.messages["lunch"] = known.tails["lunch"].readings[0]
    sender.memory.keep(source, [lunch], known)
    waiting = asyncio.create_task(sender.recall(source, [replace(lunch, external_id="2"), deploy]))
    await asyncio.sleep(0)
    assert not waiting.done()
    sender.surprised()
    sender.saved(batch)
    recalled = await asyncio.wait_for(waiting, 60)
    assert set(recalled.cold_threads) == {"lunch", "deploy"}


async def test_what_is_under_way_is_not_read_from_the_database() -> None:
    """A conversation or a message replied to that is being saved is waited for, and others are not."""
    sender = Sender()
    batch = prepared(sender, "7", "deploy")
    await asyncio.wait_for(sender.can_be_read(Recalled(cold_threads={"lunch": EPOCH})), 60)
    await asyncio.wait_for(sender.can_be_read(Recalled(unknown_keys=["8"])), 60)
    for needed in (Recalled(cold_threads={"deploy": EPOCH}), Recalled(unknown_keys=["7"])):
        waiting = asyncio.create_task(sender.can_be_read(needed))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
    waiting = asyncio.create_task(sender.can_be_read(Recalled(unknown_keys=["7"])))
    await asyncio.sleep(0)
    sender.saved(batch)
    await asyncio.wait_for(waiting, 60)
