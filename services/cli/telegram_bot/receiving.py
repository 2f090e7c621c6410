"""What becomes of updates, however they came: read, delivered in order, counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc

from services.cli.importers.rows import Row
from services.cli.telegram_bot.delivery import Delivery
from services.cli.telegram_bot.updates import Migration, Post, read_update


@dataclass
class Tally:
    """What a bot has received since it started; `skipped` counts by reason."""

    updates: int = 0
    messages: int = 0
    rejected: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for a person."""
        line = f"{self.updates} updates, {self.messages} messages, {self.rejected} rejected"
        return line + "".join(f", {count} × {reason}" for reason, count in self.skipped.items())


class Receiver:
    """Takes updates; `accept` returns once everything they say is committed."""

    def __init__(self, delivery: Delivery, tell: Callable[[str], None]) -> None:
        self._delivery, self._tell = delivery, tell
        self.tally = Tally()

    async def accept(self, updates: Sequence[Row]) -> None:
        """Deliver updates in their order; repeating it is harmless. Raises AioRpcError."""
        posts: list[Post] = []
        for item in map(read_update, updates):
            if isinstance(item, Post):
                posts.append(item)
            elif isinstance(item, Migration):
                await self._send(posts)
                posts = []
                await self._migrate(item)
            else:
                self.tally.skipped[item.reason] = self.tally.skipped.get(item.reason, 0) + 1
        await self._send(posts)
        self.tally.updates += len(updates)

    async def _send(self, posts: Sequence[Post]) -> None:
        await self._delivery.send(posts)
        self.tally.messages += len(posts)
        rejected, self._delivery.rejected = self._delivery.rejected, []
        self.tally.rejected += len(rejected)
        for line in rejected:
            self._tell(f"rejected {line}")

    async def _migrate(self, migration: Migration) -> None:
        """Continue the conversation under its new id; a key that may not read leaves the past where it is."""
        old, chat = migration.old_external_id, migration.chat
        try:
            moved = await self._delivery.move(old, chat)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.PERMISSION_DENIED:
                raise
            self._tell(
                f"group {old} is now supergroup {chat.external_id}; its earlier messages stay "
                "under the old id because the API key lacks the scope `read`"
            )
            return
        self._tell(f"group {old} is now supergroup {chat.external_id}; {moved} messages moved")
