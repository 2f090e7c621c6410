"""The webhook: Telegram pushes updates, and gets its 2xx once they are committed."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc

from services.cli.importers.rows import Row
from services.cli.telegram_bot.api import is_update
from services.cli.telegram_bot.http import HEAD_BYTES_MAX, Head, Refused, parse_head, response
from services.cli.telegram_bot.receiving import Receiver
from services.common.errors import WinnowError

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header
BODY_BYTES_MAX = 512 << 10
CONNECTIONS_MAX = 128  # Telegram opens at most 100
READ_SECONDS = 10.0
LINGER_SECONDS = 1.0
DRAIN_SECONDS = 30.0


class Webhook:
    """Answers requests; meant to stand behind a proxy that ends TLS."""

    def __init__(
        self,
        receiver: Receiver,
        path: str,
        secret: str,
        tell: Callable[[str], None],
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._receiver, self._path, self._tell = receiver, path, tell
        self._secret, self._read_seconds = secret.encode(), read_seconds
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve, and lend the port; at the end let the requests that are under way finish.

        WinnowError if the address cannot be listened at.
        """
        try:
            server = await asyncio.start_server(self._connected, host, port, limit=HEAD_BYTES_MAX)
        except OSError as error:
            raise WinnowError(f"cannot listen at {host}:{port}: {error.strerror}") from error
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            if self._open:
                await asyncio.wait(self._open, timeout=DRAIN_SECONDS)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._open.add(task)
        try:
            with suppress(ConnectionError):
                await self._answer(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            update = await self._read(reader)
            status = await self._accept(update)
        except Refused as refusal:
            status = refusal.status
        except asyncio.IncompleteReadError:
            return  # the caller has gone
        writer.write(response(status))
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        await _discard(reader)

    async def _read(self, reader: asyncio.StreamReader) -> Row:
        """The update of a request. Raises Refused, with the body unread unless the secret is right."""
        try:
            async with asyncio.timeout(self._read_seconds):
                try:
                    head = parse_head(await reader.readuntil(b"\r\n\r\n"))
                except asyncio.LimitOverrunError:
                    raise Refused(431) from None
                self._check(head)
                return read_body(await reader.readexactly(head.body_bytes(BODY_BYTES_MAX)))
        except TimeoutError:
            raise Refused(408) from None

    def _check(self, head: Head) -> None:
        """Refuse who does not know the secret; the comparison takes the same time whatever is wrong."""
        given = head.single(SECRET_HEADER)
        if given is None or not hmac.compare_digest(given, self._secret):
            raise Refused(403)
        if head.target != self._path:
            raise Refused(404)
        if head.method != "POST":
            raise Refused(405)

    async def _accept(self, update: Row) -> int:
        """200 once the update is committed; otherwise Telegram is asked to bring it again."""
        try:
            await self._receiver.accept([update])
        except grpc.aio.AioRpcError as error:
            self._tell(
                f"update {update['update_id']} is not saved, Telegram will repeat it: {error.details()}"
            )
            return 503
        return 200


def read_body(body: bytes) -> Row:
    """The update that a body holds, or Refused."""
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(update, dict) or not is_update(update):
        raise Refused(400)
    return update


async def _discard(reader: asyncio.StreamReader) -> None:
    """Take what the caller still sends for a moment, or closing would destroy the answer on its way."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(1 << 16):
                continue
