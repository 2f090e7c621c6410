"""What becomes of updates, however they came: read, delivered in order, counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc

from services.cli.importers.rows import Row
from services.cli.telegram_bot.delivery import Delivery
from services.cli.telegram_bot.updates import Migration, Post, of_account, read_update
from services.cli.values import counted


@dataclass
class Tally:
    """What a bot has received since it started; `skipped` counts by reason."""

    updates: int = 0
    messages: int = 0
    rejected: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Count what another tally has, too."""
        self.updates += other.updates
        self.messages += other.messages
        self.rejected += other.rejected
        for reason, count in other.skipped.items():
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def __str__(self) -> str:
        """One line for a person."""
        line = f"{counted(self.updates, 'update')}, {counted(self.messages, 'message')}, {self.rejected} rejected"
        return line + "".join(f", {count} × {reason}" for reason, count in self.skipped.items())


class Receiver:
    """Takes updates; `accept` returns once everything they say is committed.

    `account` tells the chats that a bot numbers itself from those of another; empty if there is no other.
    """

    def __init__(self, delivery: Delivery, tell: Callable[[str], None], account: str = "") -> None:
        self._delivery, self._tell, self._account = delivery, tell, account
        self.tally = Tally()

    async def accept(self, updates: Sequence[Row]) -> None:
        """Deliver updates in their order; repeating it is harmless. Raises AioRpcError, having counted nothing."""
        tally, posts = Tally(len(updates)), list[Post]()
        for update in updates:
            item = of_account(read_update(update), self._account)
            if isinstance(item, Post):
                posts.append(item)
            elif isinstance(item, Migration):
                await self._send(posts, tally)
                posts = []
                await self._migrate(item)
            else:
                tally.skipped[item.reason] = tally.skipped.get(item.reason, 0) + 1
        await self._send(posts, tally)
        self.tally.add(tally)

    async def _send(self, posts: Sequence[Post], tally: Tally) -> None:
        rejected = await self._delivery.send(posts)
        tally.messages += len(posts)
        tally.rejected += len(rejected)
        for line in rejected:
            self._tell(f"rejected {line}")

    async def _migrate(self, migration: Migration) -> None:
        """Continue the conversation under its new id; a key that may not read leaves the past where it is."""
        old, chat = migration.old_external_id, migration.chat
        try:
            moved = await self._delivery.move(old, chat, self._account)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.PERMISSION_DENIED:
                raise
            self._tell(
                f"group {old} is now supergroup {chat.external_id}; its earlier messages stay "
                "under the old id because the API key lacks the scope `read`"
            )
            return
        self._tell(
            f"group {old} is now supergroup {chat.external_id}; {counted(moved, 'message')} moved"
        )
