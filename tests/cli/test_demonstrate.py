"""`winnow demo` ends where what it waits for will not come, and shows what says something."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.demonstrate import is_stuck, saying
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports
from services.cli.embedded.runtime import running_state
from services.cli.failures import BAD_INPUT, USAGE
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.search.v1 import search_pb2


@pytest.mark.parametrize(
    ("stages", "vectors_missing", "dead", "stuck"),
    [
        ([], 1, 1, True),
        ([pb.StageStatus(stage="window", scheduled=1)], 1, 1, True),
        ([pb.StageStatus(stage="embed", scheduled=1)], 1, 1, False),
        ([pb.StageStatus(stage="extract", leased=1)], 1, 1, False),
        ([], 0, 1, False),
        ([], 1, 0, False),
    ],
)
def test_dead_tasks_end_the_wait(
    stages: list[pb.StageStatus], vectors_missing: int, dead: int, stuck: bool
) -> None:
    """Vectors are waited for as long as anything may bring them, and no longer."""
    status = pb.GetStatusResponse(stages=stages, vectors_missing=vectors_missing, tasks_dead=dead)
    assert is_stuck(status) == stuck


def test_no_path_is_none_of_here() -> None:
    """What a shell makes of a variable that is not set is refused, and not looked for where the command runs."""
    ended = CliRunner().invoke(winnow, ["demo", "--chat", ""])
    assert ended.exit_code == USAGE
    assert "'--chat': the path is empty" in ended.stderr


def test_what_runs_is_used_and_not_in_the_way(tmp_path: Path) -> None:
    """Who wants the sample chat in what runs already is told how, before anything is fetched or started."""
    data, ports = DataDirectory(tmp_path), Ports()
    data.announce(running_state(data, ports))
    ended = CliRunner().invoke(winnow, ["demo", "--keep", "--data-dir", str(tmp_path)])
    assert ended.exit_code == USAGE
    told = f"winnow: `winnow up` runs on {tmp_path}: --running instead of --keep uses it\n"
    assert ended.stderr == told


def test_thanks_are_no_answers() -> None:
    """Of the results the best that say something are shown, atoms among them."""
    found = search_pb2.SearchResponse()
    for score in (0.9, 0.05, 0.5, 0.4, 0.3):
        found.results.add().message.importance.score = score
    found.results[3].atom.title = "Version 2.4 goes out on Thursday"
    shown = saying(found).results
    assert [each.message.importance.score for each in shown[:2]] == [0.9, 0.5]
    assert len(shown) == 3
    assert shown[2].atom.title


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file or directory"),
        ("{}", "not a Telegram export: it has neither `messages` nor `chats`"),
        ('{"id": "1", "text": "x"}', "this looks like JSON Lines: `winnow import jsonl` reads it"),
    ],
)
def test_what_is_no_chat_is_told_before_anything_starts(
    tmp_path: Path, text: str | None, told: str
) -> None:
    """Nobody waits for four services and two servers to read that a path was misspelt."""
    chat = tmp_path / "chat.json"
    if text is not None:
        chat.write_text(text, "utf-8")
    ended = CliRunner().invoke(winnow, ["demo", "--chat", str(chat)])
    assert ended.exit_code == BAD_INPUT
    assert ended.stderr == f"winnow: {chat}: {told}\n"
