"""`winnow bot telegram` as its own process: killed, started again, stopped, and wrongly set up."""

import asyncio
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.telegram_bot.bot_api import TOKEN, BotApiDouble, push
from tests.cli.telegram_bot.conftest import Bot, connected, until
from tests.cli.telegram_bot.conversation import message
from tests.conftest import Deployment, free_port
from tests.forked import winnow

SECRET = "secret-0123456789"


@pytest.fixture
def environment(
    deployment: Deployment, telegram: BotApiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of a bot."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    monkeypatch.setenv("WINNOW_TELEGRAM_API", telegram.root)
    monkeypatch.setenv("WINNOW_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("WINNOW_TELEGRAM_WEBHOOK_SECRET", SECRET)


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "bot", "telegram", "--data-dir", folder, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def wait_for_line(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """The first line that matches."""
    assert process.stderr
    async for line in process.stderr:
        if match := re.search(pattern, line.decode()):
            return match
    raise AssertionError(f"ended without {pattern}")


@pytest.mark.usefixtures("environment")
async def test_killed_and_started_again(bot: Bot, telegram: BotApiDouble, tmp_path: Path) -> None:
    """Killed with updates in its hands, the bot reads them again, and each is stored once."""
    for number in range(1, 401):
        telegram.add(message=message(number))
    for served in (1, 150):
        async with running(tmp_path) as process:
            await until(telegram, lambda served=served: telegram.served >= served)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
    assert not telegram.confirmed()
    async with running(tmp_path, "--json") as process:
        await until(telegram, telegram.confirmed)
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert b'"rejected": 0' in output
    stored = await bot.stored()
    assert [int(number) for _, number in stored] == sorted(range(1, 401), key=str)


@pytest.mark.usefixtures("environment")
async def test_webhook(bot: Bot, telegram: BotApiDouble, tmp_path: Path) -> None:
    """The webhook is made known to Telegram, when that has time for it, takes updates, and stops when told."""
    telegram.inject(429, description="Too Many Requests", parameters={"retry_after": 0})
    listen = f"127.0.0.1:{free_port()}"
    public = "https://bot.example/hook"
    arguments = ("--webhook", "--listen", listen, "--path", "/hook", "--public-url", public)
    async with running(tmp_path, *arguments) as process:
        url = (await wait_for_line(process, r"listening on (http://\S+)"))[1]
        assert url == f"http://{listen}/hook"
        await until(telegram, lambda: bool(telegram.webhook))
        assert (telegram.webhook["url"], telegram.webhook["secret_token"]) == (public, SECRET)
        update = {"update_id": 1, "message": message(1)}
        assert await asyncio.to_thread(push, url, update, SECRET) == 200
        process.send_signal(signal.SIGINT)
        await wait_for_line(process, "stopped after 1 update, 1 message, 0 rejected")
        assert await process.wait() == 0
    assert len(await bot.stored()) == 1


def _read(where: str) -> list[Metric]:
    with urllib.request.urlopen(f"http://{where}/metrics") as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


@pytest.mark.usefixtures("environment", "bot")
async def test_prometheus_sees_whether_it_gets_on(telegram: BotApiDouble, tmp_path: Path) -> None:
    """A bot that nobody looks at tells what it took, what it left out, and when it last had all that there was."""
    telegram.add(message=message(1))
    telegram.add(message=message(2, chat={"id": 666, "type": "private"}))
    where, began = f"127.0.0.1:{free_port()}", time.time()
    arguments = ("--metrics", where, "--chat", str(message(1)["chat"]["id"]))
    async with running(tmp_path, *arguments):
        await until(telegram, telegram.confirmed)
        families = await asyncio.to_thread(_read, where)
    found = {sample.name: sample for family in families for sample in family.samples}
    assert found["winnow_bot_updates_total"].value == 2
    assert found["winnow_bot_messages_total"].value == 1
    left_out = found["winnow_bot_skipped_total"]
    assert (left_out.labels, left_out.value) == ({"reason": "chat that --chat does not name"}, 1)
    assert began <= found["winnow_bot_level_timestamp_seconds"].value <= time.time()
    assert "process_resident_memory_bytes" in found


@pytest.mark.usefixtures("environment")
async def test_stops_in_the_middle_of_a_poll(telegram: BotApiDouble, tmp_path: Path) -> None:
    """Ctrl-C ends a poll that would wait for minutes."""
    async with running(tmp_path) as process:
        await until(telegram, lambda: len(telegram.calls) == 2)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert telegram.calls[1][1]["timeout"] == 50


@pytest.mark.usefixtures("environment")
async def test_from_a_webhook_to_polling(bot: Bot, telegram: BotApiDouble, tmp_path: Path) -> None:
    """Who pushed before may poll again: what waits at Telegram is received."""
    telegram.webhook = {"url": "https://a.test"}
    telegram.add(message=message(1))
    telegram.add(message=message(2, chat={"id": 666, "type": "private"}))
    async with running(tmp_path, "--drop-webhook", "--chat", str(message(1)["chat"]["id"])):
        await until(telegram, telegram.confirmed)
    assert len(await bot.stored()) == 1


@pytest.mark.usefixtures("environment")
async def test_errors_are_one_line(
    telegram: BotApiDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set wrongly is one line that names it, and no secret is ever printed."""
    wrong = TOKEN[:-1] + "X"
    token_file = tmp_path / "token"
    token_file.write_text(wrong + "\n")

    async def failed(*arguments: str) -> str:
        command = ("bot", "telegram", "--data-dir", str(tmp_path), *arguments)
        ended = await asyncio.to_thread(winnow, *command)
        assert ended.returncode in (1, 2)
        for secret in (TOKEN, wrong, SECRET):
            assert secret not in ended.stderr + ended.stdout
        return ended.stderr

    said = await failed("--token-file", str(token_file))
    assert said == "winnow: Telegram does not know the bot's token (Unauthorized)\n"
    assert "--listen" in await failed("--webhook", "--listen", "nowhere")
    assert "'--drop-webhook'" in await failed("--webhook", "--drop-webhook")
    assert "--path" in await failed("--webhook", "--path", "no path")
    assert "No such option" in await failed("--token", wrong)
    unheard = ("--token-file", str(token_file), "--public-url", "https://a.test")
    assert "'--public-url': needs --webhook" in await failed(*unheard)
    assert "HTTPS URL" in await failed(
        "--webhook", "--listen", f"127.0.0.1:{free_port()}", "--public-url", "http://a.test"
    )
    monkeypatch.setenv("WINNOW_TELEGRAM_WEBHOOK_SECRET", "not/allowed")
    assert "WINNOW_TELEGRAM_WEBHOOK_SECRET" in await failed("--webhook")
    monkeypatch.setenv("WINNOW_TELEGRAM_TOKEN", "")
    assert "WINNOW_TELEGRAM_TOKEN: set it, or give --token-file" in await failed()


@pytest.mark.usefixtures("environment")
async def test_live_and_imported_are_one(
    deployment: Deployment, telegram: BotApiDouble, tmp_path: Path
) -> None:
    """A chat that a bot follows and its imported export are one source with each message once."""
    export = tmp_path / "result.json"
    export.write_text(
        '{"name": "Team", "type": "private_supergroup", "id": 1234, "messages": ['
        '{"id": 1, "type": "message", "date_unixtime": "1714557601", "from": "Ada L",'
        ' "from_id": "user7", "text": "hello"},'
        '{"id": 2, "type": "message", "date_unixtime": "1714557602", "from": "Ada L",'
        ' "from_id": "user7", "text": "earlier"}]}'
    )
    async with deployment.serving("ingest"), connected(deployment) as bot:
        await bot.receiver.accept([{"update_id": 1, "message": message(1)}])
        command = ("import", "telegram", str(export), "--data-dir", str(tmp_path), "--json")
        ended = await asyncio.to_thread(winnow, *command)
        assert '"created": 1, "updated": 0, "unchanged": 1' in ended.stdout
        assert set(await bot.stored()) == {("-1000000001234", "1"), ("-1000000001234", "2")}
