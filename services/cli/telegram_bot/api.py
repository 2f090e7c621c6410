"""A client of the Telegram Bot API; its errors are one line and never hold the token."""

import http.client
import json
import re
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from services.cli.importers.rows import Row, nested, string, whole
from services.cli.threads import in_thread
from services.common.addresses import is_on_this_machine, is_web_address
from services.common.errors import InvalidSetting, WinnowError

UPDATE_KINDS = ("message", "edited_message", "channel_post", "edited_channel_post")
REPLY_BYTES_MAX = 64 << 20
REQUEST_SECONDS = 30
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{10,200}")
_REDACTED = "<token>"


class TelegramFailure(WinnowError):
    """Telegram refuses, and asking again would not help."""


class TryLater(WinnowError):
    """Telegram cannot be reached or is busy; `retry_seconds` is what it asked for, if it did."""

    def __init__(self, reason: str, retry_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds


class PolledElsewhere(TryLater):
    """Another poll for this bot's updates stands: another program's, or one of ours that broke off."""


class BotApi:
    """Calls methods of the Bot API under `root` with a bot's token."""

    def __init__(self, root: str, token: str) -> None:
        if not is_web_address(root):
            raise InvalidSetting("WINNOW_TELEGRAM_API: must be an http or https address")
        if not _TOKEN.fullmatch(token):
            raise InvalidSetting("the Telegram token does not look like 123456:ABC-…")
        self._root, self._token = root.rstrip("/"), token
        self._opener = urllib.request.OpenerDirector()  # follows no redirect: the address is secret
        # To a server of the Bot API on this machine no proxy is a way.
        is_here = is_on_this_machine(urlsplit(root).hostname or "")
        proxies: dict[str, str] | None = {} if is_here else None
        for handler in (
            urllib.request.ProxyHandler(proxies),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
        ):
            self._opener.add_handler(handler)

    async def call(self, method: str, seconds: float = REQUEST_SECONDS, **parameters: Any) -> Any:
        """Call a method and return its result. Raises TryLater or TelegramFailure."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            f"{self._root}/bot{self._token}/{method}",
            json.dumps(parameters).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            status, body = await in_thread(lambda: self._exchange(request, seconds))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TryLater(f"cannot reach Telegram: {self._shown(error)}") from None
        return self._result(method, status, _object(body))

    async def updates(self, offset: int | None, poll_seconds: int) -> list[Row]:
        """The updates from `offset` on (None: all unconfirmed), waiting for the first one. Confirms older ones."""
        parameters: dict[str, Any] = {} if offset is None else {"offset": offset}
        found = await self.call(
            "getUpdates",
            REQUEST_SECONDS + poll_seconds,
            timeout=poll_seconds,
            allowed_updates=UPDATE_KINDS,
            **parameters,
        )
        if not isinstance(found, list) or not all(map(is_update, found)):
            raise TryLater("getUpdates: Telegram's answer is no list of updates")
        return found

    def _exchange(self, request: urllib.request.Request, seconds: float) -> tuple[int, bytes]:
        with self._opener.open(request, timeout=seconds) as response:
            body: bytes = response.read(REPLY_BYTES_MAX + 1)
        if len(body) > REPLY_BYTES_MAX:
            raise ValueError("the answer is too large")
        return response.status, body

    def _result(self, method: str, status: int, reply: Row) -> Any:
        if reply.get("ok") is True and status == http.client.OK:
            return reply.get("result")
        said = self._shown(string(reply, "description") or f"HTTP {status}")
        if status == http.client.TOO_MANY_REQUESTS:
            wait = nested(reply, "parameters").get("retry_after")
            seconds = wait if whole(wait) and 0 <= wait < 1 << 31 else None
            raise TryLater(f"{method}: {said}", seconds)
        if status in (http.client.UNAUTHORIZED, http.client.NOT_FOUND):
            raise TelegramFailure(f"Telegram does not know the bot's token ({said})")
        if status == http.client.CONFLICT and "webhook is active" in said:
            raise TelegramFailure(
                f"Telegram pushes this bot's updates to a webhook: --drop-webhook takes it off ({said})"
            )
        if status == http.client.CONFLICT:
            raise PolledElsewhere(f"another program polls for this bot's updates ({said})")
        if http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR:
            raise TelegramFailure(f"{method}: {said}")
        raise TryLater(f"{method}: {said}")

    def _shown(self, what: object) -> str:
        """One line without the token."""
        line = " ".join(str(what).split())
        for secret in (self._token, self._token.partition(":")[2]):
            line = line.replace(secret, _REDACTED)
        return line[:300]


def is_update(value: object) -> bool:
    """Whether a value is an object with the id of an update."""
    return isinstance(value, dict) and whole(value.get("update_id"))


def _object(body: bytes) -> Row:
    """The JSON object of a reply; empty if it is something else, such as a proxy's page."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}
