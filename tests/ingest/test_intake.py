"""What a sender is believed to have sent, before and after a surprise."""

import asyncio

from services.ingest.intake import Sender


async def test_what_was_sent_is_believed() -> None:
    """Batches that wait to be saved hold nothing up as long as nothing surprises."""
    sender = Sender()
    sender.prepared()
    assert await asyncio.wait_for(sender.remember(), 1) is sender.memory


async def test_a_surprise_ends_with_the_batches_under_way() -> None:
    """After a surprise the next batch waits until all before it are stored; the one after it waits for nothing."""
    sender = Sender()
    for _ in range(3):
        sender.prepared()
    sender.surprised()
    waiting = asyncio.create_task(sender.remember())
    for _ in range(3):
        await asyncio.sleep(0)
        assert not waiting.done()
        sender.surprised()
        sender.saved()
    await waiting
    sender.prepared()
    assert await asyncio.wait_for(sender.remember(), 1) is sender.memory
