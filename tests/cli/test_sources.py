"""`winnow sources move` against a service that runs: exports of a group and of the supergroup are one chat."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.failures import FAILED, USAGE
from tests.cli.test_knowledge import Command
from tests.conftest import Deployment
from tests.ingest.conftest import message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

SHIFT = -1_000_000_000


def export(path: Path, kind: str, number: int, *messages: tuple[int, str]) -> Path:
    """Write an export of a chat in which Ann says something."""
    rows: list[dict[str, Any]] = [
        {"id": n, "type": "message", "date_unixtime": "1714557600", "from": "Ann", "text": text}
        for n, text in messages
    ]
    path.write_text(json.dumps({"name": "Team", "type": kind, "id": number, "messages": rows}))
    return path


@pytest.mark.parametrize("number", ["1234", "-1000000001234"])
async def test_exports_of_a_group_and_its_supergroup_are_one_chat(
    deployment: Deployment, tmp_path: Path, number: str
) -> None:
    """Moved once, it takes exports of both under one id, and each message once, whichever number it has there."""
    said = [(1, "first"), (2, "second")]
    group = export(tmp_path / "group.json", "private_group", 55, *said)
    taken_over = [(n + SHIFT, text) for n, text in said]
    team = export(tmp_path / "team.json", "private_supergroup", 1234, *taken_over, (1, "third"))
    async with deployment.serving("ingest"):
        winnow = Command(deployment)
        await winnow.said("import", "telegram", str(group), "--account", "ann")
        (before,) = (await winnow.json("sources", "list"))["sources"]
        assert before["external_id"] == "-55@ann"
        move = ("sources", "move", before["id"], "--to", number)
        code, _, err = await winnow.run(*move)
        assert (code, "--yes" in err) == (USAGE, True)
        told = "Team is chat -1000000001234 now; {} moved"
        assert told.format("2 messages") in await winnow.said(*move, "--yes")
        imported = await winnow.said("import", "telegram", str(team), "--account", "ann")
        assert "1 new, 0 changed, 2 unchanged" in imported
        again = await winnow.said("import", "telegram", str(group), "--account", "ann")
        assert "0 new, 0 changed, 2 unchanged" in again
        (after,) = (await winnow.json("sources", "list"))["sources"]
    assert (after["id"], after["message_count"]) == (before["id"], 3)


async def test_what_cannot_be_moved(deployment: Deployment) -> None:
    """Whatever counts its messages otherwise, or is not there, is told and stays as it is."""
    async with deployment.serving("ingest") as channel:
        winnow, stub = Command(deployment), IngestServiceStub(channel)
        for key in ("-1000000000005", "5@ann", "-55@ann"):
            source = pb.SourceRef(kind=pb.SOURCE_KIND_TELEGRAM, external_id=key)
            request = pb.IngestMessagesRequest(source=source, messages=[message(1)])
            await stub.IngestMessages(request, metadata=deployment.metadata)
        await deployment.admin.execute(
            "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', '-55')",
            deployment.workspace,
        )
        listed = (await winnow.json("sources", "list", "--all"))["sources"]
        ids = {each["external_id"]: each["id"] for each in listed}
        nowhere = "0190d3a5-0000-7000-8000-000000000000"
        refused = [
            (ids["-1000000000005"], "7", USAGE, "is no basic group of Telegram"),
            (ids["5@ann"], "7", USAGE, "is no basic group of Telegram"),
            (ids["-55"], "7", USAGE, "is no basic group of Telegram"),
            (ids["-55@ann"], "-7", USAGE, "--to: -7 is no id of a supergroup"),
            (ids["-55@ann"], "5", FAILED, "there is a source -1000000000005 already"),
            (nowhere, "7", FAILED, f"no source {nowhere}"),
        ]
        for source_id, number, wanted, text in refused:
            code, _, err = await winnow.run("sources", "move", source_id, "--to", number, "--yes")
            assert (code, text in err) == (wanted, True), err
        assert (await winnow.json("sources", "list", "--all"))["sources"] == listed
