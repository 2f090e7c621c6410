"""What becomes of updates, however they came: read, delivered in order, counted."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import grpc

from services.cli.importers import SkippedRow
from services.cli.importers.rows import Row
from services.cli.telegram_bot.delivery import Delivery
from services.cli.telegram_bot.updates import Migration, Post, Update, of_account, read_update
from services.cli.values import counted

# The supergroup has messages of its own already, or the group more than can be moved at once: waiting does not help.
_STAYS = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION,
)
LEFT_OUT_TOLD_MAX = 1_000


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
    `chats` are the ids of those that are taken, and what becomes of them; empty for all.
    """

    def __init__(
        self,
        delivery: Delivery,
        tell: Callable[[str], None],
        account: str = "",
        chats: Collection[str] = (),
    ) -> None:
        self._delivery, self._tell, self._account = delivery, tell, account
        self._chats, self._left_out = set(chats), set[str]()
        self._moved = set[tuple[str, str]]()
        self.tally = Tally()
        self.level_at = 0.0  # seconds of Unix time

    async def accept(self, updates: Sequence[Row]) -> None:
        """Deliver updates in their order; repeating it is harmless. Raises AioRpcError, having counted nothing."""
        tally, posts = Tally(len(updates)), list[Post]()
        for update in updates:
            item = of_account(self._chosen(read_update(update)), self._account)
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
        self.level_at = time.time()

    def _chosen(self, item: Update) -> Update:
        """What an update means, if its chat is to be taken; a chat that is left out is told once."""
        if isinstance(item, SkippedRow) or not self._chats or item.chat.external_id in self._chats:
            return item
        chat = item.chat
        if isinstance(item, Migration) and item.old_external_id in self._chats:
            self._chats.add(chat.external_id)
            self._tell(f"when you start it again, give --chat {chat.external_id} as well")
            return item
        if chat.external_id not in self._left_out and len(self._left_out) < LEFT_OUT_TOLD_MAX:
            self._left_out.add(chat.external_id)
            self._tell(f"left out: {chat.kind} {chat.external_id} ({chat.title})")
        return SkippedRow("", "chat that --chat does not name")

    async def _send(self, posts: Sequence[Post], tally: Tally) -> None:
        rejected = await self._delivery.send(posts)
        tally.messages += len(posts)
        tally.rejected += len(rejected)
        for line in rejected:
            self._tell(f"rejected {line}")

    async def _migrate(self, migration: Migration) -> None:
        """Continue the conversation under its new id; what cannot be moved stays where it is, and nothing is lost."""
        old, chat = migration.old_external_id, migration.chat
        told = f"group {old} is now supergroup {chat.external_id}"
        try:
            moved = await self._delivery.move(old, chat, self._account)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _STAYS:
                raise
            moved = 0
            told += f"; its earlier messages stay under the old id because {error.details()}"
        else:
            told += f"; {counted(moved, 'message')} moved"
        # Telegram says it in both chats, and again what a crash left unconfirmed.
        if moved or (old, chat.external_id) not in self._moved:
            self._tell(told)
        self._moved.add((old, chat.external_id))
