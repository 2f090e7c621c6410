"""The webhook over real HTTP with a real ingest service: who may push, what is taken, when it is confirmed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.telegram_bot.http import HEAD_BYTES_MAX, Head, Refused, parse_head
from services.cli.telegram_bot.webhook import BODY_BYTES_MAX, CONNECTIONS_MAX, Webhook
from services.common.errors import WinnowError
from tests.cli.telegram_bot.bot_api import push
from tests.cli.telegram_bot.conftest import Bot, connected
from tests.cli.telegram_bot.conversation import message
from tests.conftest import Deployment, free_port

SECRET = "a-secret_0123456789"
UPDATE = {"update_id": 1, "message": message(1)}
Push = Callable[..., object]


@asynccontextmanager
async def webhook(bot: Bot, read_seconds: float = 10) -> AsyncIterator[str]:
    """A webhook that listens meanwhile: its URL."""
    served = Webhook(bot.receiver, "/hook", SECRET, bot.tell, read_seconds)
    async with served.listening("127.0.0.1", free_port()) as port:
        yield f"http://127.0.0.1:{port}/hook"


async def pushed(url: str, update: object, *secrets: str, **options: str) -> int:
    """Push without holding up the webhook; the status."""
    return await asyncio.to_thread(partial(push, url, update, *secrets, **options))


async def sent(url: str, data: bytes, *, end: bool = False) -> bytes:
    """Send bytes as they are; the answer."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(url.split(":")[2].split("/", maxsplit=1)[0])
    )
    writer.write(data)
    if end:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def request(body: bytes = b"{}", *headers: str, line: str = "POST /hook HTTP/1.1") -> bytes:
    """A request with the right secret."""
    lines = (line, f"X-Telegram-Bot-Api-Secret-Token: {SECRET}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_an_address_in_use_is_told(bot: Bot) -> None:
    """Where another program listens the webhook says so, rather than with a traceback."""
    async with webhook(bot) as url:
        port = int(url.split(":")[2].split("/", maxsplit=1)[0])
        other = Webhook(bot.receiver, "/hook", SECRET, bot.tell)
        with pytest.raises(WinnowError, match=f"cannot listen at 127.0.0.1:{port}: .*in use"):
            async with other.listening("127.0.0.1", port):
                raise AssertionError("two listen at one port")


async def test_update_is_stored(bot: Bot) -> None:
    """An update is stored when it is answered, and the same update again changes nothing."""
    async with webhook(bot) as url:
        for _ in range(3):
            assert await pushed(url, UPDATE, SECRET) == 200
            assert await bot.stored() == {("-1000000001234", "1"): "hello"}
        edit = {"update_id": 2, "edited_message": message(1, "new", edit_date=1714557999)}
        assert await pushed(url, edit, SECRET) == 200
        assert await pushed(url, UPDATE, SECRET) == 200
    assert await bot.stored() == {("-1000000001234", "1"): "new"}


async def test_pushed_at_once(bot: Bot) -> None:
    """Many updates at once, each of them twice, are each stored once."""
    async with webhook(bot) as url:
        updates = [{"update_id": n, "message": message(n)} for n in range(1, 21)] * 2
        statuses = await asyncio.gather(*(pushed(url, update, SECRET) for update in updates))
    assert set(statuses) == {200}
    assert len(await bot.stored()) == 20


@pytest.mark.parametrize(
    ("secrets", "status"),
    [
        ((), 403),
        (("wrong",), 403),
        (("",), 403),
        ((SECRET + "x",), 403),
        ((SECRET.upper(),), 403),
        ((SECRET, SECRET), 400),
        (("wrong", SECRET), 400),
    ],
)
async def test_secret(lone_bot: Bot, secrets: tuple[str, ...], status: int) -> None:
    """Who does not show the secret, exactly once, is refused before ingest is asked."""
    async with webhook(lone_bot) as url:
        assert await pushed(url, UPDATE, *secrets) == status


async def test_secret_is_checked_before_the_body(lone_bot: Bot) -> None:
    """Without the secret the answer comes although the body never does."""
    async with webhook(lone_bot) as url:
        answer = await sent(url, b"POST /hook HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_skipped_updates_are_confirmed(bot: Bot) -> None:
    """What is no message is answered with 200, or Telegram would bring it for ever."""
    async with webhook(bot) as url:
        assert await pushed(url, {"update_id": 1, "poll": {}}, SECRET) == 200
        assert await pushed(url, {"update_id": 2, "message": 7}, SECRET) == 200
    assert bot.receiver.tally.skipped == {"another kind of update": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"update_id": "1"}',
        b'{"update_id": true}',
        b"\xff",
        b"[" * 99_999,
    ],
)
async def test_no_update(lone_bot: Bot, body: bytes) -> None:
    """A body that is no update is refused."""
    async with webhook(lone_bot) as url:
        assert await pushed(url, body, SECRET) == 400


async def test_too_large(lone_bot: Bot) -> None:
    """A body over the limit is refused by its announced length; one at the limit is read."""
    async with webhook(lone_bot) as url:
        assert await pushed(url, b" " * (BODY_BYTES_MAX + 1), SECRET) == 413
        assert await pushed(url, b" " * BODY_BYTES_MAX, SECRET) == 400
        assert (await sent(url, request(b"", f"Content-Length: {1 << 39}"))).startswith(
            b"HTTP/1.1 413 "
        )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(b"", "Transfer-Encoding: chunked"), 411),
        (request(b"", "Transfer-Encoding: chunked", "Content-Length: 2"), 411),
        (request(b""), 411),
        (request(b"{}", "Content-Length: 2", "Content-Length: 2"), 400),
        (request(b"{}", "Content-Length: +2"), 400),
        (request(b"{}", "Content-Length: -2"), 400),
        (request(b"{}", "Content-Length: 2", "Bad Name: x"), 400),
        (request(b"{}", "Content-Length: 2", " folded"), 400),
        (request(b"{}", "Content-Length: 2", "X: a\x00b"), 400),
        (request(b"{}", "Content-Length: 2", "X: a\nb"), 400),
        (request(line="POST /other HTTP/1.1"), 404),
        (request(line="POST /hook/../hook HTTP/1.1"), 404),
        (request(line="GET /hook HTTP/1.1"), 405),
        (request(line="POST /hook HTTP/2.0"), 400),
        (request(line="POST  /hook HTTP/1.1"), 400),
        (request(line="post /hook HTTP/1.1"), 400),
        (request(b"", "X: " + "x" * HEAD_BYTES_MAX), 431),
        (b"x" * (HEAD_BYTES_MAX * 2), 431),
    ],
)
async def test_malformed_requests(lone_bot: Bot, data: bytes, status: int) -> None:
    """A request that is not in order is refused by its own status."""
    async with webhook(lone_bot) as url:
        assert (await sent(url, data)).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("value", ["x" + " " * 16_000 + "\x7f", " " * 16_000 + "\x7f"])
async def test_a_value_of_spaces(lone_bot: Bot, value: str) -> None:
    """A header that is nearly all spaces is refused like any other: nobody else waits while its end is looked for."""
    async with webhook(lone_bot) as url:
        assert (await sent(url, request(b"", f"X: {value}"))).startswith(b"HTTP/1.1 400 ")


def test_spaces_around_a_value_are_no_part_of_it() -> None:
    """A value has neither the spaces and tabs before it nor those after it; those within it stay."""
    head = parse_head(b"POST / HTTP/1.1\r\nA: \t b \tc\t \r\nD:\r\nE:  \r\n\r\n")
    assert [head.single(name) for name in ("a", "d", "e")] == [b"b \tc", b"", b""]


async def test_slow_and_broken_callers(bot: Bot) -> None:
    """Who does not send is told so in time, who goes away is forgotten, and others are served."""
    async with webhook(bot, read_seconds=2) as url:
        assert (await sent(url, b"POST")).startswith(b"HTTP/1.1 408 ")
        assert (await sent(url, request(b"{", "Content-Length: 2"))).startswith(b"HTTP/1.1 408 ")
        assert await sent(url, b"POST", end=True) == b""
        assert await sent(url, request(b"{", "Content-Length: 2"), end=True) == b""
        assert await pushed(url, UPDATE, SECRET) == 200


async def test_connections_are_limited(lone_bot: Bot) -> None:
    """More connections than Telegram ever opens are closed at once."""
    async with webhook(lone_bot) as url:
        port = int(url.split(":")[2].split("/")[0])
        held = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX + 1)
        ]
        assert await held[-1][0].read() == b""
        for _, writer in held:
            writer.close()


async def test_ingest_is_down(deployment: Deployment) -> None:
    """Without ingest an update is not confirmed; brought again later, it is stored."""
    async with connected(deployment) as bot, webhook(bot) as url:
        assert await pushed(url, UPDATE, SECRET) == 503
        assert "Telegram will repeat it" in bot.told[0]
        async with deployment.serving("ingest"):
            while (status := await pushed(url, UPDATE, SECRET)) != 200:
                assert status == 503
            assert len(await bot.stored()) == 1


async def test_closing_finishes_what_is_under_way(bot: Bot) -> None:
    """A request that has begun when the webhook closes is answered after its commit."""
    async with webhook(bot) as url:
        port = int(url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"", "Content-Length: 300").removesuffix(b"\r\n"))
        await writer.drain()
        await asyncio.sleep(0.1)

        async def finish() -> bytes:
            body = b'{"update_id": 1, "message": {}}'
            writer.write(b"\r\n" + body + b" " * (300 - len(body)))
            return await reader.read()

        finishing = asyncio.create_task(finish())
    assert (await finishing).startswith(b"HTTP/1.1 200 ")


@given(
    st.binary(max_size=200) | st.text(st.sampled_from("POST / HTTP/1.:\r\n\tabc")).map(str.encode)
)
def test_any_head(data: bytes) -> None:
    """Arbitrary bytes are a head or refused, never an error."""
    for head in (data, b"POST / HTTP/1.1\r\n" + data):
        with suppress(Refused):
            assert isinstance(parse_head(head + b"\r\n\r\n"), Head)
