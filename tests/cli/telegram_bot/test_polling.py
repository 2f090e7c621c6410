"""Polling against a Bot API double over HTTP and a real ingest service."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from services.cli.telegram_bot.api import UPDATE_KINDS, BotApi, TelegramFailure, TryLater
from services.cli.telegram_bot.polling import Poller
from services.cli.telegram_bot.receiving import Tally
from services.common.errors import InvalidSetting
from tests.cli.telegram_bot.bot_api import TOKEN, BotApiDouble
from tests.cli.telegram_bot.conftest import Bot, connected, until
from tests.cli.telegram_bot.conversation import message
from tests.conftest import Deployment

TEAM_ID = "-1000000001234"


@asynccontextmanager
async def polling(bot: Bot, telegram: BotApiDouble, **options: Any) -> AsyncIterator[None]:
    """A poller that runs meanwhile; its failure is raised."""
    poller = Poller(BotApi(telegram.root, TOKEN), bot.receiver, 30, bot.tell, **options)
    task = asyncio.create_task(poller.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_messages_and_edits(bot: Bot, telegram: BotApiDouble) -> None:
    """Messages, edits and posts are stored, asked for by kind, and confirmed afterwards."""
    telegram.add(message=message(1, "first"))
    telegram.add(my_chat_member={"chat": {}})
    async with polling(bot, telegram):
        await until(telegram, telegram.confirmed)
        telegram.add(message=message(2, "second", reply_to_message=message(1)))
        telegram.add(edited_message=message(1, "first, edited", edit_date=1714557999))
        telegram.add(channel_post=message(3, "post"))
        telegram.add(edited_channel_post=message(3, "post 2", edit_date=1714557999))
        telegram.add(message=message(4, "", left_chat_member={}))
        await until(telegram, telegram.confirmed)
    assert await bot.stored() == {
        (TEAM_ID, "1"): "first, edited",
        (TEAM_ID, "2"): "second",
        (TEAM_ID, "3"): "post 2",
    }
    assert (await bot.stored("reply_to_external_id"))[TEAM_ID, "2"] == "1"
    assert telegram.calls[1][1]["allowed_updates"] == list(UPDATE_KINDS)
    assert bot.receiver.tally.skipped == {"service": 1}
    assert bot.told == ["receiving the messages of @double"]


async def test_edit_before_its_message(bot: Bot, telegram: BotApiDouble) -> None:
    """An edit that is read before its message, or twice, leaves the later text."""
    for _ in range(2):
        telegram.add(edited_message=message(1, "new", edit_date=1714557999))
        telegram.add(message=message(1, "old"))
    async with polling(bot, telegram):
        await until(telegram, telegram.confirmed)
    assert await bot.stored() == {(TEAM_ID, "1"): "new"}


async def test_offset_follows_the_commit(deployment: Deployment, telegram: BotApiDouble) -> None:
    """While ingest is away nothing is confirmed; when it is back everything is stored."""
    for number in range(1, 251):
        telegram.add(message=message(number))
    async with connected(deployment) as bot, polling(bot, telegram):
        await until(telegram, lambda: telegram.served >= 100)
        await bot.until_told("cannot reach ingest")
        assert len(telegram.updates) == 250
        async with deployment.serving("ingest"):
            await until(telegram, telegram.confirmed)
            assert len(await bot.stored()) == 250
    assert bot.told[2] == "works again"


async def test_too_many_requests(bot: Bot, telegram: BotApiDouble) -> None:
    """Telegram is left alone for as long as it asks, or for a moment, and outages are waited out ever longer."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    telegram.inject(429, description="Too Many Requests", parameters={"retry_after": 17})
    telegram.inject(429, description="Too Many Requests", parameters={"retry_after": 0})
    telegram.inject(502)
    telegram.inject(None)
    telegram.add(message=message(1))
    async with polling(bot, telegram, sleep=sleep):
        await until(telegram, telegram.confirmed)
    assert waits == [17, 0.5, 4, 8]
    assert len(await bot.stored()) == 1


@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (401, {"description": "Unauthorized"}, "does not know the bot's token"),
        (409, {"description": "Conflict: webhook is active"}, "--drop-webhook"),
        (400, {"description": f"Bad Request near {TOKEN}"}, "Bad Request near <token>"),
        (400, {"description": f"{'x' * 280} {TOKEN}"}, "x <token>"),
    ],
)
async def test_refusals(
    bot: Bot, telegram: BotApiDouble, status: int, reply: dict[str, Any], expected: str
) -> None:
    """A refusal ends the bot with one line that does not hold the token."""
    telegram.inject(status, **reply)
    poller = Poller(BotApi(telegram.root, TOKEN), bot.receiver, 0, bot.tell)
    with pytest.raises(TelegramFailure, match=expected) as failure:
        await poller.run()
    assert TOKEN.partition(":")[2][:3] not in str(failure.value)
    assert "\n" not in str(failure.value)


async def test_another_poll_once(bot: Bot, telegram: BotApiDouble) -> None:
    """A poll that another one ended is repeated: Telegram may hold on to an own one whose connection broke."""
    async with polling(bot, telegram):
        await until(telegram, lambda: len(telegram.calls) == 2)
        await BotApi(telegram.root, TOKEN).updates(None, 0)
        await bot.until_told("another program polls")
        telegram.add(message=message(1))
        await until(telegram, telegram.confirmed)
    assert bot.told[2] == "works again"
    assert len(await bot.stored()) == 1


async def test_another_program_polls(bot: Bot, telegram: BotApiDouble) -> None:
    """Another program that goes on polling ends the bot; outages before count nothing."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    for status in (502, 409, None, *(409,) * 6):
        telegram.inject(status, description="Conflict: terminated by other getUpdates request")
    poller = Poller(BotApi(telegram.root, TOKEN), bot.receiver, 0, bot.tell, sleep)
    with pytest.raises(TelegramFailure, match=r"another program polls .*: stop it first"):
        await poller.run()
    assert sum(waits) > 120


async def test_webhook_is_set(telegram: BotApiDouble) -> None:
    """Polling beside a webhook says so."""
    telegram.webhook = {"url": "https://a.test"}
    with pytest.raises(TelegramFailure, match="webhook is active"):
        await BotApi(telegram.root, TOKEN).updates(None, 0)


async def test_wrong_token(telegram: BotApiDouble) -> None:
    """A token that Telegram does not know is one clear error, one that cannot be any is another."""
    wrong = TOKEN[:-1] + "X"
    with pytest.raises(TelegramFailure, match="does not know the bot's token") as failure:
        await BotApi(telegram.root, wrong).call("getMe")
    assert wrong not in str(failure.value)
    for impossible in ("", "12345", "1:a b", TOKEN + "\n", "../" + TOKEN):
        with pytest.raises(InvalidSetting, match="does not look like"):
            BotApi(telegram.root, impossible)
    for nowhere in ("file:///etc", "http://[::1", "http://"):
        with pytest.raises(InvalidSetting, match="WINNOW_TELEGRAM_API"):
            BotApi(nowhere, TOKEN)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"ok": true, "result": [7]}', b"\xff"])
async def test_odd_answers(
    telegram: BotApiDouble, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that is not the API's, such as a proxy's page, is an outage; the token is nowhere in the logs."""
    caplog.set_level(logging.DEBUG)
    telegram.inject(200)
    telegram.injected[0].body = body
    with pytest.raises(TryLater) as failure:
        await BotApi(telegram.root, TOKEN).updates(None, 0)
    assert TOKEN not in str(failure.value) + caplog.text


async def test_nothing_listens() -> None:
    """A server that is not there is an outage, told without the token."""
    with pytest.raises(TryLater, match="cannot reach Telegram") as failure:
        await BotApi("http://127.0.0.1:1", TOKEN).call("getMe")
    assert TOKEN not in str(failure.value)


async def test_no_proxy_stands_before_this_machine(
    telegram: BotApiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the Bot API on this machine is asked itself, though the environment names a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await BotApi(telegram.root, TOKEN).call("getMe"))["username"] == "double"


async def test_redirects_are_not_followed(telegram: BotApiDouble) -> None:
    """The address holds the token, so no answer sends it elsewhere."""
    telegram.inject(302)
    with pytest.raises(TryLater, match="HTTP 302"):
        await BotApi(telegram.root, TOKEN).call("getMe")


async def test_rejected_messages(bot: Bot, telegram: BotApiDouble) -> None:
    """A message that breaks a limit is told and confirmed, and its neighbours are stored."""
    telegram.add(message=message(1, "x" * 20_000))
    telegram.add(message=message(2))
    async with polling(bot, telegram):
        await until(telegram, telegram.confirmed)
    assert list(await bot.stored()) == [(TEAM_ID, "2")]
    assert bot.receiver.tally.rejected == 1
    assert bot.told[1].startswith(f"rejected message 1 of chat {TEAM_ID}: text: ")


async def test_what_is_repeated_counts_once(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates of which a part was delivered before ingest went away are counted once when all of them are."""
    updates = [
        {"update_id": 1, "message": message(1, "")},
        {"update_id": 2, "message": message(2, "x" * 20_000)},
        {"update_id": 3, "message": message(3, "", migrate_from_chat_id=-55)},
        {"update_id": 4, "message": message(4)},
    ]
    calls = iter([False, True])
    save = bot.receiver._delivery._save

    async def interrupted(*arguments: Any) -> Any:
        result = await save(*arguments)
        if next(calls, False):
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
            )
        return result

    monkeypatch.setattr(bot.receiver._delivery, "_save", interrupted)
    with pytest.raises(grpc.aio.AioRpcError):
        await bot.receiver.accept(updates)
    assert bot.receiver.tally == Tally()
    await bot.receiver.accept(updates)
    assert bot.receiver.tally == Tally(4, 2, 1, {"service": 1})


async def test_large_batches(bot: Bot, telegram: BotApiDouble) -> None:
    """A hundred messages of the greatest length, more than one request may hold, are stored."""
    for number in range(1, 101):
        telegram.add(message=message(number, "😀" * 4096))
    async with polling(bot, telegram):
        await until(telegram, telegram.confirmed)
    assert len(await bot.stored()) == 100


async def test_wrong_api_key(deployment: Deployment, telegram: BotApiDouble) -> None:
    """A key that ingest refuses ends the bot, with nothing confirmed."""
    deployment.api_key = "wrong"
    telegram.add(message=message(1))
    async with deployment.serving("ingest"), connected(deployment) as bot:
        poller = Poller(BotApi(telegram.root, TOKEN), bot.receiver, 0, bot.tell)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await poller.run()
    assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert len(telegram.updates) == 1
