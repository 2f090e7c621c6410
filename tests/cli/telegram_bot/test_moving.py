"""A group that becomes a supergroup: its source goes on as the supergroup's, with all that was made of it."""

from typing import Any

import pytest

from services.cli.telegram_bot.api import BotApi, TryLater
from services.cli.telegram_bot.polling import Poller
from services.cli.telegram_bot.receiving import Receiver
from services.common.auth import mint_key, store_key
from services.ingest import moving
from tests.cli.telegram_bot.bot_api import TOKEN, BotApiDouble
from tests.cli.telegram_bot.conftest import Bot, connected, until
from tests.cli.telegram_bot.conversation import GROUP, message
from tests.cli.telegram_bot.test_polling import TEAM_ID, polling
from tests.conftest import Deployment

MOVED = {"update_id": 90, "message": message(3, "", chat=GROUP, migrate_to_chat_id=-1000000001234)}


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Updates that bring messages."""
    return [{"update_id": number, "message": each} for number, each in enumerate(messages)]


async def test_group_becomes_a_supergroup(bot: Bot, telegram: BotApiDouble) -> None:
    """One conversation goes on: its past moves to the supergroup, numbered as exports of it are."""
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "Lin"}
    history = [
        {"message": message(1, "question", chat=GROUP)},
        {
            "message": message(
                2,
                "answer",
                chat=GROUP,
                reply_to_message=message(1, chat=GROUP),
                forward_origin=origin,
            )
        },
        {"edited_message": message(1, "question?", chat=GROUP, edit_date=1714557999)},
        {"message": message(3, "", chat=GROUP, migrate_to_chat_id=-1000000001234)},
        {"message": message(1, "", migrate_from_chat_id=-55)},
        {"message": message(2, "on we go")},
    ]
    expected = {
        (TEAM_ID, "-999999999"): "question?",
        (TEAM_ID, "-999999998"): "answer",
        (TEAM_ID, "2"): "on we go",
    }
    for _ in range(2):  # a crash reads them all again
        for update in history:
            telegram.add(**update)
        async with polling(bot, telegram):
            await until(telegram, telegram.confirmed)
        assert await bot.stored() == expected
    assert (await bot.stored("reply_to_external_id"))[TEAM_ID, "-999999998"] == "-999999999"
    assert (await bot.stored("forwarded_from"))[TEAM_ID, "-999999998"] == '{"name": "Lin"}'
    assert f"group -55 is now supergroup {TEAM_ID}; 2 messages moved" in bot.told


async def test_what_was_made_of_the_past_stays(bot: Bot) -> None:
    """Messages keep their ids and scores, what is gone stays gone, and what Telegram repeats brings nothing back."""
    posts = said(message(1, chat=GROUP), message(2, chat=GROUP), message(3, chat=GROUP))
    await bot.receiver.accept(posts)
    admin = bot.deployment.admin
    await admin.execute("update ingest.message set importance_label = 'signal'")
    await admin.execute("update ingest.message set deleted_at = now() where external_id = '2'")
    look = "select id, source_id, importance_label, deleted_at from ingest.message order by id"
    before = await admin.fetch(look)
    await bot.receiver.accept([MOVED, *posts, MOVED])
    assert await admin.fetch(look) == before
    assert set(await bot.stored()) == {(TEAM_ID, "-999999999"), (TEAM_ID, "-999999997")}


async def test_the_past_of_a_second_bot_stays_its_own(bot: Bot) -> None:
    """The supergroup has one source: what another bot has of the same group stays where it is, and it is told why."""
    rows = said(message(1, "question", chat=GROUP), message(2, chat=GROUP))
    for account in ("", "helper"):
        receiver = Receiver(bot.delivery, bot.tell, account)
        await receiver.accept([*rows, MOVED, *said(message(1, "on we go"))])
    assert set(await bot.stored()) == {
        *((TEAM_ID, number) for number in ("-999999999", "-999999998", "1")),
        *(("-55@helper", number) for number in ("1", "2")),
    }
    assert bot.told[1:] == [
        f"group -55@helper is now supergroup {TEAM_ID}; its earlier messages stay under the old id "
        f"because there is a source {TEAM_ID} already"
    ]


async def test_the_account_is_in_the_new_numbers(bot: Bot) -> None:
    """A bot with a name of its own moves its past to numbers that are of nobody else."""
    receiver = Receiver(bot.delivery, bot.tell, "helper")
    answer = message(2, "?", chat=GROUP, reply_to_message=message(1, chat=GROUP))
    await receiver.accept([*said(message(1, chat=GROUP), answer), MOVED])
    replies = {key: reply for (_, key), reply in (await bot.stored("reply_to_external_id")).items()}
    assert replies == {"-999999999@helper": "", "-999999998@helper": "-999999999@helper"}


async def test_a_group_of_which_nothing_is_known(bot: Bot) -> None:
    """Where no message was stored there is nothing to move."""
    await bot.receiver.accept([MOVED])
    assert await bot.stored() == {}
    assert bot.told == [f"group -55 is now supergroup {TEAM_ID}; 0 messages moved"]


async def test_a_move_is_told_once(bot: Bot) -> None:
    """Telegram says in both chats that one became the other; who reads on must not think that nothing was moved."""
    opened = message(1, "", migrate_from_chat_id=-55)
    await bot.receiver.accept([*said(message(1, chat=GROUP)), MOVED, *said(opened)])
    await bot.receiver.accept([MOVED])
    assert bot.told == [f"group -55 is now supergroup {TEAM_ID}; 1 message moved"]
    other = Receiver(bot.delivery, bot.tell, "helper")
    await other.accept([*said(message(1, chat=GROUP)), MOVED, *said(opened)])
    assert len(bot.told) == 2


async def test_a_past_that_is_too_long(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group with more messages than can be moved at once keeps them under its old id, and the bot goes on."""
    monkeypatch.setattr(moving, "MESSAGES_MAX", 1)
    posts = said(message(1, chat=GROUP), message(2, chat=GROUP))
    await bot.receiver.accept([*posts, MOVED, *said(message(1, "on we go"))])
    assert set(await bot.stored()) == {("-55", "1"), ("-55", "2"), (TEAM_ID, "1")}
    assert "because the source has more than 1 messages to renumber" in bot.told[0]


async def test_a_key_that_may_only_ingest(deployment: Deployment) -> None:
    """The scope `ingest`, which a bot needs anyway, is enough."""
    key = mint_key()
    await store_key(deployment.admin, "test", "narrow", key, ["ingest"])
    deployment.api_key = key.text
    async with deployment.serving("ingest"), connected(deployment) as bot:
        await bot.receiver.accept([*said(message(1, chat=GROUP)), MOVED])
        assert set(await bot.stored()) == {(TEAM_ID, "-999999999")}


async def test_a_release_that_cannot_move(deployment: Deployment, telegram: BotApiDouble) -> None:
    """A service that does not know the call is waited for like one that is away, with nothing confirmed."""
    # The extractor serves no calls of ingest, as an earlier ingest serves not this one.
    deployment.addresses["ingest"] = deployment.address("extractor")
    telegram.add(**MOVED)
    async with deployment.serving("extractor"), connected(deployment) as bot:
        poller = Poller(BotApi(telegram.root, TOKEN), bot.receiver, 0, bot.tell)
        with pytest.raises(TryLater, match="ingest is of an earlier release"):
            await poller._accept([MOVED])
    assert len(telegram.updates) == 1
