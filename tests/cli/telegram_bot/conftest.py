"""A Bot API double, and a bot on the real ingest service."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import pytest

from services.cli.target import Target
from services.cli.telegram_bot.delivery import Delivery
from services.cli.telegram_bot.receiving import Receiver
from tests.cli.telegram_bot.bot_api import BotApiDouble, bot_api
from tests.conftest import Deployment


@dataclass
class Bot:
    """A receiver on a deployment, what it told its user, and what is stored."""

    receiver: Receiver
    told: list[str]
    deployment: Deployment

    async def stored(self, column: str = "text") -> dict[tuple[str, str], str]:
        """A column of every live message by chat and number."""
        rows = await self.deployment.admin.fetch(
            f"select s.external_id as chat, m.external_id as number, m.{column} as value "
            "from ingest.message m join ingest.source s on s.id = m.source_id "
            "where m.deleted_at is null order by 1, 2"
        )
        return {(row["chat"], row["number"]): row["value"] for row in rows}


@pytest.fixture
def telegram() -> Iterator[BotApiDouble]:
    """Telegram."""
    with bot_api() as double:
        yield double


@pytest.fixture
async def bot(deployment: Deployment) -> AsyncIterator[Bot]:
    """A bot whose ingest service runs in this process."""
    async with deployment.serving("ingest"), connected(deployment) as made:
        yield made


class connected:  # noqa: N801 - used as a function
    """A bot that would call ingest, whether that runs or not."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        address = deployment.address("ingest")
        self._channel = grpc.aio.insecure_channel(
            address, options=[("grpc.max_reconnect_backoff_ms", 200)]
        )
        self._target = Target({"ingest": address}, deployment.api_key)

    async def __aenter__(self) -> Bot:
        """Make the bot."""
        told: list[str] = []
        receiver = Receiver(Delivery(self._channel, self._target), told.append)
        return Bot(receiver, told, self._deployment)

    async def __aexit__(self, *failure: object) -> None:
        """Close the channel."""
        await self._channel.close()


async def until(double: BotApiDouble, what: object) -> None:
    """Wait for a state of Telegram without holding up the bot."""
    await asyncio.to_thread(double.wait_until, what)
