"""Hands what the bot received to ingest; every method returns after the commit."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import grpc

from services.cli.importers import ImportedChat
from services.cli.importers.telegram_accounts import TAKEN_OVER_SHIFT, account_key
from services.cli.importing import Batch, message_input, source_ref
from services.cli.sources import MOVE_SECONDS
from services.cli.target import Target
from services.cli.telegram_bot.updates import Post
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

CALL_SECONDS = 30
TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    # A replica of an earlier release, which cannot move sources, is being replaced.
    grpc.StatusCode.UNIMPLEMENTED,
)


class Delivery:
    """Calls ingest."""

    def __init__(self, channel: grpc.aio.Channel, target: Target) -> None:
        self._stub = IngestServiceStub(channel)
        self._options: dict[str, Any] = {"metadata": target.metadata, "timeout": CALL_SECONDS}

    async def send(self, posts: Sequence[Post]) -> list[str]:
        """Save posts in their order; return a line for each that breaks a limit. Raises AioRpcError."""
        rejected: list[str] = []
        for _, group in groupby(posts, key=lambda post: post.chat.external_id):
            listed = list(group)
            messages = [message_input(post.message) for post in listed]
            rejected += await self._save(listed[-1].chat, messages)
        return rejected

    async def move(self, old_external_id: str, chat: ImportedChat, account: str = "") -> int:
        """Make a group's source that of the supergroup that it became. Raises AioRpcError.

        The supergroup's messages begin to count anew, so those that the group has get the numbers that an export of the
        supergroup by the same account gives them; returns how many. 0 if it has none, or had moved before.
        """
        to = source_ref(chat, pb.SOURCE_KIND_TELEGRAM)
        request = pb.MoveSourceRequest(
            source=pb.SourceRef(kind=to.kind, external_id=old_external_id),
            external_id=to.external_id,
            title=to.title,
            number_shift=TAKEN_OVER_SHIFT,
            key_suffix=account_key("", account),
        )
        options = self._options | {"timeout": MOVE_SECONDS}
        try:
            response = await self._stub.MoveSource(request, **options)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return 0
        return int(response.renumbered)

    async def _save(self, chat: ImportedChat, messages: list[pb.MessageInput]) -> list[str]:
        rejected: list[str] = []
        for batch in _batches(messages):
            request = pb.IngestMessagesRequest(
                source=source_ref(chat, pb.SOURCE_KIND_TELEGRAM), messages=batch
            )
            response = await self._stub.IngestMessages(request, **self._options)
            rejected += [
                f"message {result.external_id} of chat {chat.external_id}: "
                f"{result.rejection.field}: {result.rejection.description}"
                for result in response.results
                if result.outcome == pb.INGEST_OUTCOME_REJECTED
            ]
        return rejected


def _batches(messages: list[pb.MessageInput]) -> Iterator[list[pb.MessageInput]]:
    """Runs of messages that fit into a request."""
    batch = Batch()
    for message in messages:
        if not batch.takes(message):
            yield batch.messages
            batch = Batch()
        batch.add(message)
    if batch.messages:
        yield batch.messages
