"""Of the chats that a bot is in, those that are named are taken."""

from typing import Any

import pytest

from services.cli.telegram_bot.polling import PRIVACY
from services.cli.telegram_bot.receiving import Receiver, Tally
from tests.cli.telegram_bot.bot_api import BotApiDouble
from tests.cli.telegram_bot.conftest import Bot, until
from tests.cli.telegram_bot.conversation import ADA, GROUP, TEAM, message
from tests.cli.telegram_bot.test_polling import TEAM_ID, polling

STRANGER = {"id": 666, "is_bot": False, "first_name": "Eve"}
ALONE = {"id": 666, "type": "private", "first_name": "Eve"}
THEIRS = {"id": -1000000006666, "type": "supergroup", "title": "Not ours"}


def updates(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Updates that bring messages."""
    return [{"update_id": number, "message": each} for number, each in enumerate(messages)]


async def test_strangers_are_left_out(bot: Bot) -> None:
    """What is written to the bot, or in a group that it was added to, is not taken and each chat is told once."""
    receiver = Receiver(bot.delivery, bot.tell, chats=[TEAM_ID])
    fields = {"chat": THEIRS, "from": STRANGER}
    await receiver.accept(
        updates(
            message(1, "ours"),
            message(1, "buy", chat=ALONE, **{"from": STRANGER}),
            *(message(number, "buy", **fields) for number in (1, 2)),
            message(3, "", migrate_from_chat_id=-66, **fields),
        )
    )
    assert await bot.stored() == {(TEAM_ID, "1"): "ours"}
    assert receiver.tally == Tally(5, 1, 0, {"chat that --chat does not name": 4})
    assert bot.told == [
        "left out: private 666 (Eve)",
        "left out: supergroup -1000000006666 (Not ours)",
    ]


@pytest.mark.parametrize("account", ["", "helper"])
async def test_a_chosen_group_becomes_a_supergroup(bot: Bot, account: str) -> None:
    """It goes on, whichever of the two that tell it comes first, and the user learns its new id."""
    receiver = Receiver(bot.delivery, bot.tell, account, ["-55"])
    await receiver.accept(
        updates(
            message(1, "before", chat=GROUP),
            message(1, "", migrate_from_chat_id=-55),
            message(2, "", chat=GROUP, migrate_to_chat_id=TEAM["id"]),
            message(2, "after"),
        )
    )
    assert sorted((await bot.stored()).values()) == ["after", "before"]
    assert bot.told[0] == f"when you start it again, give --chat {TEAM_ID} as well"


async def test_privacy_mode_is_told(bot: Bot, telegram: BotApiDouble) -> None:
    """A bot that Telegram shows next to nothing says so when it starts."""
    telegram.me["can_read_all_group_messages"] = False
    telegram.add(message=message(1, **{"from": ADA}))
    async with polling(bot, telegram):
        await until(telegram, telegram.confirmed)
    assert bot.told == ["receiving the messages of @double", PRIVACY]
