"""`winnow import` of Slack and Discord exports into a real ingest service."""

import asyncio
import json
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Deployment, run_winnow
from tests.forked import winnow


async def imported(kind: str, path: Path, data: Path, exit_code: int = 0) -> dict[str, Any]:
    """What the command reports."""
    command = ("import", kind, str(path), "--data-dir", str(data), "--json")
    ended = await asyncio.to_thread(winnow, *command)
    assert ended.returncode == exit_code, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


async def sources(deployment: Deployment) -> list[tuple[str, ...]]:
    """Every message with its source."""
    rows = await deployment.admin.fetch(
        "select s.kind, s.external_id, s.title, m.external_id as number, m.thread_id, m.text "
        "from ingest.message m join ingest.source s on s.id = m.source_id order by 2, 4"
    )
    return [tuple(row) for row in rows]


async def test_slack(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Slack zip is stored a source a channel; importing it again changes nothing."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    said = {"type": "message", "user": "U1", "ts": "1.000001", "text": "hi <@U1>"}
    reply = said | {"ts": "2.000001", "thread_ts": "1.000001", "text": "ок"}
    files = {
        "users.json": [{"id": "U1", "name": "ada"}],
        "channels.json": [{"id": "C1", "name": "general"}, {"id": "C2", "name": "ops"}],
        "general/1970-01-01.json": [said, reply, said | {"subtype": "channel_join"}],
        "ops/1970-01-01.json": [said],
    }
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content))
    async with deployment.serving("ingest"):
        first = await imported("slack", tmp_path / "export.zip", tmp_path)
        assert (first["created"], first["chats"], first["skipped"]) == (3, 2, {"channel_join": 1})
        again = await imported("slack", tmp_path / "export.zip", tmp_path)
        assert (again["created"], again["unchanged"]) == (0, 3)
    assert await sources(deployment) == [
        ("import", "slack:C1", "general", "1.000001", "", "hi @ada"),
        ("import", "slack:C1", "general", "2.000001", "1.000001", "ок"),
        ("import", "slack:C2", "ops", "1.000001", "", "hi @ada"),
    ]


async def test_what_slack_says_is_deleted_is_deleted(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that a later export has no longer leaves search, and the earlier export does not bring it back."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    said = {"type": "message", "user": "U1", "ts": "1.000001", "text": "the password is 1234"}
    day, live = tmp_path / "general" / "1970-01-01.json", "select count(*) from ingest.message"
    day.parent.mkdir()
    async with deployment.serving("ingest"):
        day.write_text(json.dumps([said]))
        assert (await imported("slack", tmp_path, tmp_path))["created"] == 1
        day.write_text(json.dumps([said | {"subtype": "tombstone", "text": "x"}]))
        assert (await imported("slack", tmp_path, tmp_path))["deleted"] == 1
        day.write_text(json.dumps([said]))
        await imported("slack", tmp_path, tmp_path)
    assert await deployment.admin.fetchval(f"{live} where deleted_at is null") == 0


async def test_discord(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later export that overlaps adds what is new and what was edited, under a title however long."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file = tmp_path / "general.json"
    title = "щ" * 300

    def export(*rows: dict[str, Any]) -> None:
        channel = {"id": "42", "type": "GuildTextChat", "name": title}
        file.write_text(json.dumps({"channel": channel, "messages": rows}))

    row = {"id": "1", "type": "Default", "timestamp": "2024-05-01T10:00:00+00:00", "content": "a"}
    other = row | {"id": "2", "content": "b"}
    edited = row | {"content": "a!", "timestampEdited": "2024-05-01T10:05:00+00:00"}
    async with deployment.serving("ingest"):
        export(row, other)
        assert (await imported("discord", file, tmp_path))["created"] == 2
        export(edited, other, row | {"id": "3", "content": "c"})
        report = await imported("discord", file, tmp_path)
        assert (report["created"], report["updated"], report["unchanged"]) == (1, 1, 1)
    stored = await sources(deployment)
    assert [(row[1], row[3], row[5]) for row in stored] == [
        ("discord:42", "1", "a!"),
        ("discord:42", "2", "b"),
        ("discord:42", "3", "c"),
    ]
    assert stored[0][2] == "щ" * 256


async def test_rows_that_are_left_out_are_told_with_their_place(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report names the first lines of each kind that was left out and the field, and a script learns of it, too."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file = tmp_path / "talk.jsonl"
    good = {"id": 1, "text": "hi", "sent_at": 10**9}
    late = [{"id": number, "text": "no time"} for number in range(2, 6)]
    lines = [*map(json.dumps, [good, *late]), "x" * (1 << 21), "y" * (1 << 21)]
    file.write_text("\n".join(lines))
    command = ("import", "jsonl", str(file), "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
        report = await imported("jsonl", file, tmp_path, exit_code=6)
    assert told.stdout.splitlines()[1:] == [
        "  left out, `sent_at` is missing: 4 (first: line 2, there is id, text; then line 3, line 4, …)",
        "  left out, longer than 1048576 bytes: 2 (first: line 6; then line 7)",
    ]
    assert told.returncode == 6
    assert told.stderr == "winnow: not all of it is imported: 6 rows were left out\n"
    assert [row["place"] for row in report["skipped_first"]][:3] == ["line 2", "line 3", "line 4"]
    assert (report["unreadable"], report["failure"]) == (6, None)


async def test_a_long_id_is_told_by_how_it_begins(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a message is not lost behind its id; a program gets as much of that as was sent."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file, row = tmp_path / "talk.jsonl", {"text": "hi", "sent_at": 10**9}
    file.write_text("\n".join(json.dumps(row | {"id": each}) for each in ("1", "x\n" * 150)))
    command = ("import", "jsonl", str(file), "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
        report = await imported("jsonl", file, tmp_path, exit_code=6)
    named = ("x " * 30).strip() + "…"
    assert told.stdout.splitlines()[1].startswith(f"  rejected {named}: external_id: ")
    assert len(report["rejected_first"][0]["external_id"]) == 257


async def test_what_is_not_taken_is_told(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who corrects a text and does not say when learns that it was not taken; an old export is no error."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file = tmp_path / "talk.jsonl"
    command = ("import", "jsonl", str(file), "--data-dir", str(tmp_path))

    async def told(*rows: dict[str, Any]) -> str:
        file.write_text("\n".join(map(json.dumps, rows)))
        ended = await asyncio.to_thread(winnow, *command)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    old = {"id": "a", "text": "on Monday", "sent_at": 10**9}
    new = old | {"text": "on Friday", "edited_at": 10**9 + 60}
    other = old | {"id": "b"}
    counts = "talk.jsonl: 0 new, 0 changed, {} unchanged, 0 rejected"
    async with deployment.serving("ingest"):
        await told(new, other)
        assert await told(new, other) == f"{counts.format(2)} — nothing has changed\n"
        assert (await told(old, other)).splitlines() == [
            f"{counts.format(1)}, 1 not taken",
            "  not taken, as another version is stored and nothing (`edited_at`) says that this one is newer: 1 (a)",
        ]
        assert (await told(old, old, other)).splitlines()[1].endswith(" newer: 2 (a)")
        assert (await told(old, other)).splitlines()[1].endswith(" newer: 1 (a)")
        report = await imported("jsonl", file, tmp_path)
    assert (report["unchanged"], report["superseded"], report["erased"]) == (1, 1, 0)
    assert report["superseded_first"] == [{"external_id": "a", "chat": "talk"}]


async def test_messages_that_are_refused_are_told_with_the_field(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that imports must learn which messages ingest refused and why, as a person does."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file = tmp_path / "talk.jsonl"
    file.write_text(json.dumps({"id": 7, "text": "x" * 20_000, "sent_at": 10**9}))
    command = ("import", "jsonl", str(file), "--data-dir", str(tmp_path))
    why = "must be at most 16384 bytes"
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
        report = await imported("jsonl", file, tmp_path, exit_code=6)
    assert told.stderr == "winnow: not all of it is imported: 1 message was rejected\n"
    assert f"rejected 7: text: {why}" in told.stdout
    assert report["rejected_first"] == [
        {"external_id": "7", "field": "text", "description": why, "chat": "talk"}
    ]


async def test_an_account_tells_in_which_chat(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among hundreds of chats a number alone would lead nobody to the message that was refused or left out."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    row = {"id": 1, "type": "message", "date_unixtime": "1000000000", "text": "hi"}
    chats = [
        {"name": name, "type": "private_supergroup", "id": number, "messages": rows}
        for number, (name, rows) in enumerate(
            {
                "Ops": [row, row | {"id": 2, "text": "x" * 20_000}],
                "Dev": [row | {"type": "odd"}],
            }.items()
        )
    ]
    account = {"personal_information": {"user_id": 7}, "chats": {"list": chats}}
    (tmp_path / "result.json").write_text(json.dumps(account))
    command = ("import", "telegram", str(tmp_path), "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
        report = await imported("telegram", tmp_path, tmp_path, exit_code=6)
    assert told.stdout.splitlines() == [
        "result.json, 2 chats: 1 new, 0 changed, 0 unchanged, 1 rejected",
        "  left out, unknown type: 1 (first: message 1 in Dev, odd)",
        "  rejected 2 in Ops: text: must be at most 16384 bytes",
    ]
    assert report["rejected_first"][0]["chat"] == "Ops"
    assert report["skipped_first"][0]["chat"] == "Dev"


async def test_a_telegram_export_is_taken_by_its_folder(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that Telegram Desktop makes must do as well as the file in it, events and all; another has no file."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    (tmp_path / "export").mkdir()
    row = {"id": 1, "type": "message", "date_unixtime": "1000000000", "text": "hi"}
    pinned = {"id": 2, "type": "service", "action": "pin_message"}
    rows = [row | {"from_id": "user1"}, pinned]
    chat = {"name": "T", "type": "private_group", "id": 4, "messages": rows}
    (tmp_path / "export" / "result.json").write_text(json.dumps(chat))
    async with deployment.serving("ingest"):
        assert (await imported("telegram", tmp_path / "export", tmp_path))["created"] == 1
    other = await asyncio.to_thread(winnow, "import", "telegram", str(tmp_path))
    assert (other.returncode, "result.json: No such file" in other.stderr) == (4, True)


async def test_a_chat_without_messages_is_told_to_be_empty(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever exported the wrong chat learns that there is nothing in it, not that all was there before."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"name": "T", "type": "private_group", "id": 4, "messages": []}))
    command = ("import", "telegram", str(file), "--account", "ada", "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.strip().endswith("0 rejected — no messages are in it")


async def test_an_interrupted_import_goes_on(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C says how much is saved; the same command again saves the rest and nothing twice."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    # Slow enough to be interrupted, on any machine.
    monkeypatch.setenv("WINNOW_RATE_MESSAGES_PER_SECOND", "2000")
    monkeypatch.setenv("WINNOW_RATE_BURST_SECONDS", "1")
    file, count = tmp_path / "result.json", 12_000
    rows = [
        {
            "id": n,
            "type": "message",
            "date_unixtime": str(10**9 + n),
            "from_id": "user1",
            "text": f"row {n}",
        }
        for n in range(1, count + 1)
    ]
    file.write_text(json.dumps({"name": "T", "type": "private_group", "id": 4, "messages": rows}))
    command = (sys.executable, "-m", "services", "import", "telegram", str(file))
    # More than may be committed together: what came first is acknowledged by then.
    some_stored = "select count(*) > 6000 from ingest.message"
    async with deployment.serving("ingest"):
        process = await asyncio.create_subprocess_exec(
            *command, "--data-dir", str(tmp_path), stderr=asyncio.subprocess.PIPE
        )
        while not await deployment.admin.fetchval(some_stored):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
        assert process.returncode == 130
        assert "messages are saved; the same command again goes on" in " ".join(
            told.decode().split()
        )
        saved = await deployment.admin.fetchval("select count(*) from ingest.message")
        assert 0 < saved < count
        again = await imported("telegram", file, tmp_path)
    assert (again["created"], again["unchanged"]) == (count - saved, saved)


async def test_standard_input(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another program writes can be imported without a file, as `-`, and said to be of a conversation."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    line = '{"id": "1", "text": "hi", "sent_at": 1714557600}'
    command = ("import", "jsonl", "-", "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        for more in ((), ("--chat", "ops")):
            ended = await asyncio.to_thread(run_winnow, *command, *more, input=line)
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout.startswith("stdin: 1 new")
    assert await sources(deployment) == [
        ("import", "ops", "ops", "1", "", "hi"),
        ("import", "stdin", "stdin", "1", "", "hi"),
    ]


async def test_a_zone_that_is_told_later_corrects_what_was_imported(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees that dates were read as UTC gives the same command again with the zone, whether it lies east or west."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    row = {"id": 1, "type": "message", "date": "2019-05-01T12:00:00", "from_id": 7, "text": "hi"}
    chat = {"name": "Team", "type": "private_supergroup", "id": 42, "messages": [row]}
    (tmp_path / "result.json").write_text(json.dumps(chat))
    command = ("import", "telegram", str(tmp_path), "--data-dir", str(tmp_path))
    sent_at = "select to_char(sent_at at time zone 'UTC', 'HH24:MI') from ingest.message"
    async with deployment.serving("ingest"):
        told = await asyncio.to_thread(winnow, *command)
        assert "read as UTC (--timezone NAME says where they are of): 1" in told.stdout
        assert await deployment.admin.fetchval(sent_at) == "12:00"
        for zone, outcome in (("Europe/Kyiv", "1 changed"), ("Europe/Kyiv", "1 unchanged")):
            told = await asyncio.to_thread(winnow, *command, "--timezone", zone)
            assert outcome in told.stdout
            assert await deployment.admin.fetchval(sent_at) == "09:00"
        await asyncio.to_thread(winnow, *command)
        assert await deployment.admin.fetchval(sent_at) == "09:00"
