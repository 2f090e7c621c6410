"""A provider of models behind an OpenAI-compatible URL: its address, its key, its limits and its failures."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import SecretStr

from services.common.addresses import is_on_this_machine
from services.common.errors import (
    InvalidSetting,
    ItemFailed,
    ModelRefused,
    ModelUnavailable,
    ProviderBusy,
    Unanswered,
)

RETRY_SECONDS_MAX: Final = 3600.0
_REFUSED: Final = (400, 413, 422)


def read_key(key: SecretStr, file: Path | None, setting: str) -> str:
    """The key from the environment or from its file; empty if there is none."""
    if file is None:
        return key.get_secret_value().strip()
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{setting}_FILE: cannot read it: {type(error).__name__}") from None


class Endpoint:
    """One path of a provider. Every call has a connection, a deadline and a bound on its answer of its own.

    Raises ModelUnavailable when the provider is at fault, Unanswered when what it was asked may be, and ItemFailed when
    that is. `settings` is what the names of the settings begin with, for errors.
    """

    def __init__(
        self,
        url: str,
        path: str,
        key: str,
        timeout_seconds: float,
        answer_bytes_max: int,
        settings: str,
    ) -> None:
        parts = _parts(url, settings)
        if parts.username or parts.password:
            raise InvalidSetting(f"{settings}_URL: put the key into {settings}_API_KEY")
        if not (key.isascii() and key.isprintable()):
            raise InvalidSetting(f"{settings}_API_KEY: must be one line of ASCII")
        self._url = parts._replace(path=parts.path.rstrip("/") + path).geturl()
        self.host, self._place = parts.hostname or "", parts.netloc
        self._timeout_seconds, self._answer_bytes_max = timeout_seconds, answer_bytes_max
        # Compressed answers could grow beyond their bound in one piece.
        self._headers = {"accept-encoding": "identity"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._tls: ssl.SSLContext | bool = parts.scheme == "https" and httpx.create_ssl_context()

    async def post(self, body: Mapping[str, Any]) -> bytes:
        """Send a request and return the body of its answer; every failure is in our own words."""
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client() as client,
                client.stream("POST", self._url, json=body, headers=self._headers) as response,
            ):
                return await self._read(response)
        except httpx.ConnectError as error:
            # Whoever cannot be reached has not seen what it was asked.
            why = str(error) or type(error).__name__
            raise ModelUnavailable(f"{self._place} cannot be reached: {why}") from error
        except (TimeoutError, httpx.TimeoutException):
            text = f"{self.host} did not answer within {self._timeout_seconds:g} s"
            raise Unanswered(text, was_silent=True) from None
        except (httpx.HTTPError, OSError) as error:
            raise Unanswered(f"{self.host}: {type(error).__name__}") from error

    def _client(self) -> httpx.AsyncClient:
        # A proxy of the environment is no way to this machine.
        return httpx.AsyncClient(
            verify=self._tls,
            timeout=self._timeout_seconds,
            trust_env=not is_on_this_machine(self.host),
        )

    async def _read(self, response: httpx.Response) -> bytes:
        self._check(response)
        answer = bytearray()
        async for piece in response.aiter_raw():
            answer += piece
            if len(answer) > self._answer_bytes_max:
                text = f"{self.host} answered with more than {self._answer_bytes_max} bytes"
                raise ItemFailed("answer_too_long", text)
        return bytes(answer)

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        text = f"{self.host} answered with HTTP {status}"
        if status in _REFUSED:
            raise ItemFailed("refused", text)
        asked = retry_after_seconds(response.headers.get("retry-after", ""), datetime.now(UTC))
        if asked:
            raise ProviderBusy(text, asked)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise ModelUnavailable(text)
        raise Unanswered(text) if httpx.codes.is_server_error(status) else ModelRefused(text)


def _parts(url: str, settings: str) -> SplitResult:
    try:
        httpx.URL(url)
        parts = urlsplit(url)
    except (ValueError, httpx.InvalidURL):
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSetting(f"{settings}_URL: must be an http:// or https:// URL")
    return parts


def retry_after_seconds(value: str, now: datetime) -> float:
    """The wait that a Retry-After header asks for (RFC 9110, 10.2.3), 0 to an hour; 0 if it cannot be read."""
    try:
        seconds = float(value) if value.strip().isdigit() else _until(value, now)
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_SECONDS_MAX)


def _until(date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
