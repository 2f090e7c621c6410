"""Every line of `winnow` that the README shows runs on a deployment that was started as it says, and does its work."""

import json
import os
import re
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest

from tests.conftest import free_port, make_scratch
from tests.pipeline.terminal import watched
from tests.pipeline.up import NAMES, Up
from tools.guide import ROOT, run_by

# What each line must print, by how it begins: none may be missing here, and each shows that something was done.
PRINTED = {
    "winnow import telegram": r"^result\.json: \d\d new, 0 changed, 0 unchanged, 0 rejected$",
    "winnow import slack": r"^export\.zip: 2 new, 0 changed, 0 unchanged, 0 rejected$",
    'winnow search "what did we decide': r"version 2\.4 goes out on Thursday 26 March",
    "winnow search --kind atoms --type solution": r"^ +1\. solution: ",
    "winnow search --where": r"Ann .*backup of the mail gateway",
    "winnow ask": r"The nightly backup failed at 03:10",
    "winnow sources list": r"telegram +\d+ .*Harbor team",
    "winnow authors list": r"^ \S+ +\S.* \d+ *$",
    "winnow topics list": r"^ \w{8}-\S+ +\d+ +\d+ +2026-03-0\d",
    "winnow atoms list": r"^ \w{8}-\S+ +\w+ +proposed ",
    "winnow atoms reject": r"rejected, version 1",
    "winnow extract --since": r"^\d+ messages? chosen; \d+ windows? would be read",
    "winnow provider": r"^engine +grounded",
    "winnow status": r"^vectors +[1-9]\d+ ",
    "winnow top ": r"must be 0 at rest",
    "winnow validate": r"^reconciliation$",
    "winnow backfill --dry-run": r"vectors? (is|are) missing.* nothing was changed$",
    "winnow generations list": r"multilingual-e5-small +384 +serving +ready +[1-9]",
    "winnow dead list": r"^no dead tasks$",
    "winnow erase author --help": r"^Usage: winnow erase author ",
    "winnow bot telegram --help": r"^Usage: winnow bot telegram ",
    "winnow keys list": r"local +ingest read admin operate",
    "winnow audit list": r"winnow keys create",
    "winnow doctor": r"^(ok|warn) +pipeline: ",
}
# Of the demo's chat: a slow search, a failed backup, a decision about a release.
SAMPLE = {*range(14, 26), *range(29, 37), *range(78, 87)}
LIVE = "winnow top"  # runs until Ctrl-C, on a terminal

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]
LINES = [line for block in run_by("command") for line in block.lines]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where a reader stands, beside the files that the lines name."""
    with make_scratch() as path:
        sample = json.loads((resources.files("services.cli.demo") / "chat.json").read_text("utf-8"))
        sample["messages"] = [each for each in sample["messages"] if each["id"] in SAMPLE]
        (path / "path" / "to").mkdir(parents=True)
        (path / "path" / "to" / "result.json").write_text(json.dumps(sample))
        write_slack(path / "export.zip")
        yield path


def write_slack(path: Path) -> None:
    """An export of Slack with a channel in which a user called ann says something that matters."""
    texts = [
        "Who makes the backup of the mail gateway before we move it to the new host?",
        "I made the backup of the mail gateway, it is in object storage until the move is done.",
    ]
    rows = [
        {"type": "message", "user": "ann", "ts": f"177244200{n}.000100", "text": text}
        for n, text in enumerate(texts)
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", json.dumps([{"id": "ann", "real_name": "Ann"}]))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "ops"}]))
        archive.writestr("ops/2026-03-02.json", json.dumps(rows))


@pytest.fixture(scope="module")
def deployment(folder: Path) -> Iterator[Up]:
    """What the README's first lines start, until Ctrl-C, which ends it well."""
    (block,) = run_by("start")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WINNOW_") or name == "WINNOW_MODELS_DIR"
    }
    environment |= {
        "XDG_DATA_HOME": str(folder),  # the data directory
        "WINNOW_EXTRACTION_ENGINE": "grounded",
        "WINNOW_WINDOW_SETTLE_SECONDS": "0.5",
    }
    data = folder / "winnow"
    data.mkdir()
    ports = {name: free_port() for name in NAMES}
    (data / "ports.json").write_text(json.dumps(ports))  # where it listened the last time
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=(folder / "up").open("w"),
        text=True,
    )
    assert process.stdout
    told = process.stdout.readline()
    while told and f"data in {data}, API key in " not in told:
        told = process.stdout.readline()
    assert told, (folder / "up").read_text()
    yield Up(data, process, environment)
    os.killpg(process.pid, signal.SIGINT)
    assert (process.wait(60), (folder / "up").read_text().splitlines()[-1]) == (0, "stopped")


def typed(line: str, deployment: Up, folder: Path) -> tuple[int, str]:
    """Type a line as it stands, an atom's id apart, and return its exit code and what it said."""
    if "ATOM_ID" in line:
        atom = deployment.json("atoms", "list")["atoms"][0]["id"]
        line = line.replace("ATOM_ID", atom)
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    environment = {**deployment.environment, "PATH": path}
    command = ["bash", "-euo", "pipefail", "-c", line]
    if line.split("  ")[0] == LIVE:
        drawn = watched(command, environment, b"must be 0 at rest", folder)
        return 0, drawn.decode("utf-8", "replace")
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def printed(deployment: Up, folder: Path) -> dict[str, tuple[int, str]]:
    """What every line said: imports first, then, once all is read and embedded, the others two at a time."""
    imports = [line for line in LINES if line.startswith("winnow import")]
    others = [line for line in LINES if line not in imports]
    said = {line: typed(line, deployment, folder) for line in imports}
    deployment.settled()
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda line: typed(line, deployment, folder), others)
        return said | dict(zip(others, answers, strict=True))


@pytest.mark.parametrize("line", LINES)
def test_a_line_does_its_work(line: str, printed: dict[str, tuple[int, str]]) -> None:
    """It ends with 0 and prints what shows that it did something, which is known of every line."""
    (pattern,) = [pattern for start, pattern in PRINTED.items() if line.startswith(start)]
    code, said = printed[line]
    assert code == 0, said
    assert re.search(pattern, said, re.MULTILINE), said


def test_every_line_is_known() -> None:
    """Nothing is expected of lines that the README no longer has."""
    assert [start for start in PRINTED if not any(line.startswith(start) for line in LINES)] == []
