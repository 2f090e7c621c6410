"""Long polling: asks Telegram for updates and confirms them once they are committed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import grpc

from services.cli.importers.rows import Row, string
from services.cli.telegram_bot.api import BotApi, PolledElsewhere, TelegramFailure, TryLater
from services.cli.telegram_bot.delivery import TRANSIENT
from services.cli.telegram_bot.receiving import Receiver

WAIT_SECONDS_MAX = 60.0
# About two minutes: so long Telegram may hold on to a poll whose connection broke. A program that polls stays longer.
CONFLICTS_MAX = 7
PRIVACY = (
    "privacy mode is on: in groups where the bot is no administrator it sees commands and replies to itself alone; "
    "@BotFather switches it off (/setprivacy), for groups that the bot joins after that"
)
_FIRST_WAIT_SECONDS = 0.5
T = TypeVar("T")


class Poller:
    """Polls for ever; outages of Telegram and of ingest are waited out, refusals are raised."""

    def __init__(
        self,
        api: BotApi,
        receiver: Receiver,
        poll_seconds: int,
        tell: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api, self._receiver, self._poll_seconds = api, receiver, poll_seconds
        self._tell, self._sleep = tell, sleep

    async def run(self) -> None:
        """Receive until cancelled. Raises TelegramFailure or AioRpcError."""
        me = await self._patiently(partial(self._api.call, "getMe"))
        name = string(me, "username") if isinstance(me, dict) else ""
        self._tell(f"receiving the messages of @{name}")
        if isinstance(me, dict) and me.get("can_read_all_group_messages") is False:
            self._tell(PRIVACY)
        offset: int | None = None
        while True:
            ask = partial(self._api.updates, offset, self._poll_seconds)
            updates = await self._patiently(ask)
            await self._patiently(partial(self._accept, updates))
            if updates:
                # The next request confirms everything before this number, so only now.
                offset = max(update["update_id"] for update in updates) + 1

    async def _accept(self, updates: Sequence[Row]) -> None:
        try:
            await self._receiver.accept(updates)
        except grpc.aio.AioRpcError as error:
            if error.code() not in TRANSIENT:
                raise
            is_earlier = error.code() is grpc.StatusCode.UNIMPLEMENTED
            why = "ingest is of an earlier release" if is_earlier else "cannot reach ingest"
            raise TryLater(f"{why}: {error.details()}") from error

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await patiently(attempt, self._tell, self._sleep)


async def patiently(
    attempt: Callable[[], Awaitable[T]],
    tell: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Repeat until it works, for as long as waiting may help; says so once an outage. Raises TelegramFailure."""
    failures = conflicts = 0
    while True:
        try:
            result = await attempt()
        except TryLater as error:
            failures += 1
            conflicts += isinstance(error, PolledElsewhere)
            if conflicts == CONFLICTS_MAX:
                raise TelegramFailure(f"{error}: stop it first") from error
            wait = min(_FIRST_WAIT_SECONDS * 2 ** min(failures, 10), WAIT_SECONDS_MAX)
            if failures == 1:
                tell(f"{error}; trying again")
            asked = error.retry_seconds
            # To be asked not to wait is no leave to ask without a pause.
            await sleep(wait if asked is None else max(asked, _FIRST_WAIT_SECONDS))
            continue
        if failures:
            tell("works again")
        return result
