"""A Bot API double, and a bot on the real ingest service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

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

    deployment: Deployment = field(init=False)
    delivery: Delivery = field(init=False)
    receiver: Receiver = field(init=False)
    told: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_told(self, words: str) -> None:
        """Wait until the user is told something."""
        while not any(words in line for line in self.told):
            self.news.clear()
            await self.news.wait()

    def tell(self, line: str) -> None:
        """Keep what the user is told."""
        self.told.append(line)
        self.news.set()

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


@pytest.fixture
async def lone_bot() -> AsyncIterator[Bot]:
    """A bot whose ingest service is nowhere."""
    async with _calling("127.0.0.1:1", "no key") as made:
        yield made


@asynccontextmanager
async def connected(deployment: Deployment) -> AsyncIterator[Bot]:
    """A bot that would call ingest, whether that runs or not."""
    async with _calling(deployment.address("ingest"), deployment.api_key) as bot:
        bot.deployment = deployment
        yield bot


@asynccontextmanager
async def _calling(address: str, api_key: str) -> AsyncIterator[Bot]:
    options = [("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        bot = Bot()
        bot.delivery = Delivery(channel, Target({"ingest": address}, api_key))
        bot.receiver = Receiver(bot.delivery, bot.tell)
        yield bot


async def until(double: BotApiDouble, what: Callable[[], bool]) -> None:
    """Wait for a state of Telegram without holding up the bot."""
    await asyncio.to_thread(double.wait_until, what)
