"""Hands what the bot received to ingest; every method returns after the commit."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from typing import Any

import grpc

from services.cli.importers import ImportedChat
from services.cli.importers.telegram_accounts import account_key
from services.cli.importing import Batch, message_input, source_ref
from services.cli.target import Target
from services.cli.telegram_bot.updates import Post
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.types.v1 import types_pb2 as types

PAGE_MESSAGES = 250
CALL_SECONDS = 30
MIGRATED_SHIFT = -1_000_000_000  # exports number the messages that a supergroup took over this way
TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
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
        """Move a group's messages to the supergroup that it became; return how many. Raises AioRpcError.

        Its messages begin to count anew, so the old ones get the numbers that an export of the supergroup
        by the same account gives them. Each page is saved in its new place before it is deleted in the old one.
        """
        source = await self._find(old_external_id)
        moved = 0
        if source is not None:
            async for page in self._pages(source):
                # What is stored breaks no limit, so none is rejected.
                await self._save(chat, [_renumbered(message, account) for message in page])
                await self._stub.DeleteMessages(
                    pb.DeleteMessagesRequest(
                        source=pb.SourceRef(
                            kind=pb.SOURCE_KIND_TELEGRAM, external_id=old_external_id
                        ),
                        external_ids=[message.external_id for message in page],
                    ),
                    **self._options,
                )
                moved += len(page)
        return moved

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

    async def _find(self, external_id: str) -> str | None:
        """The id of a chat's source, if it has one."""
        request = pb.ListSourcesRequest(page_size=500)
        while True:
            page = await self._stub.ListSources(request, **self._options)
            for source in page.sources:
                if (source.kind, source.external_id) == (pb.SOURCE_KIND_TELEGRAM, external_id):
                    return str(source.id)
            if not page.next_page_token:
                return None
            request.page_token = page.next_page_token

    async def _pages(self, source_id: str) -> AsyncIterator[Sequence[types.Message]]:
        """The live messages of a source, oldest first."""
        request = pb.ListMessagesRequest(source_id=source_id, page_size=PAGE_MESSAGES)
        while True:
            page = await self._stub.ListMessages(request, **self._options)
            if page.messages:
                yield page.messages
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


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


def _renumbered(message: types.Message, account: str) -> pb.MessageInput:
    """A stored message as one that the supergroup took over."""
    renumbered = pb.MessageInput(
        external_id=_shifted(message.external_id, account),
        thread_id=message.thread_id,
        reply_to_external_id=_shifted(message.reply_to_external_id, account),
        author=message.author,
        text=message.text,
        sent_at=message.sent_at,
        entities=message.entities,
        attachments=message.attachments,
    )
    for name in ("edited_at", "forwarded_from"):
        if message.HasField(name):
            getattr(renumbered, name).CopyFrom(getattr(message, name))
    return renumbered


def _shifted(number: str, account: str) -> str:
    if not number.isdecimal():
        return number
    return account_key(str(int(number) + MIGRATED_SHIFT), account)
