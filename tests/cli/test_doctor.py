"""What `winnow doctor` says of what it found."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.doctor import pipeline_finding, provider_findings, said
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports
from services.cli.embedded.runtime import running_state
from services.common.addresses import NAMES
from services.common.llama import SelfTest
from services.common.migrations import release
from services.evaluating import trust_finding
from services.extractor.aptitude import Aptitude
from services.extractor.service import ExtractorSettings
from tests.conftest import Deployment, free_port
from winnow.pipeline.v1 import pipeline_pb2 as pb


def test_a_self_test_is_told_in_words() -> None:
    """What was measured must be said to a person, not shown as the object that holds it."""
    assert said(SelfTest(384, 0.99993658, 0.999)) == (
        "384 dimensions, batched equals single to 0.99994"
    )


def state(embedding: int = 0, **figures: int) -> pb.GetStatusResponse:
    """The state of a workspace, with so many tasks of the embedder to do."""
    stages = [pb.StageStatus(stage="embed", ready=embedding), pb.StageStatus(stage="merge")]
    return pb.GetStatusResponse(stages=stages, **figures)  # type: ignore[arg-type]


LATE, NEWER = (
    pb.GetStatusResponse(stages=[pb.StageStatus(stage=stage, oldest_task_age_seconds=1800)])
    for stage in ("merge", "of a newer release")
)


@pytest.mark.parametrize(
    ("status", "ok", "warning", "told"),
    [
        (state(), True, False, "0 vectors missing, 0 dead tasks"),
        (state(738, vectors_missing=738), True, True, "738 tasks of the embedder to do"),
        (state(vectors_missing=2), True, True, "`winnow backfill` makes them"),
        (state(messages_unwindowed=3), True, True, "messages unwindowed: 3"),
        (LATE, True, True, "waits for 1,800 s: there is much to do, or the log of extractor says"),
        (NEWER, True, True, "the log of its service says"),
        (state(tasks_dead=1), False, True, "`winnow dead list`"),
    ],
)
def test_a_pipeline_that_is_not_at_rest_is_not_told_to_be_well(
    status: pb.GetStatusResponse, ok: bool, warning: bool, told: str
) -> None:
    """What is missing is a warning, with what becomes of it; what nobody makes any more is bad."""
    finding = pipeline_finding(status)
    assert (finding.ok, finding.warning) == (ok, warning)
    assert told in finding.detail


WEAK, GOOD = Aptitude(0.5, 0.17, 0.5, 500), Aptitude(0.9, 0.9, 0, 50)


@pytest.mark.parametrize(
    ("settings", "found", "warning", "told"),
    [
        ({}, WEAK, True, "trusted with nothing"),
        ({}, GOOD, False, "trusted with generate"),
        ({"extraction_engine": "grounded"}, WEAK, False, "not called"),
        ({"extraction_capability": "none"}, GOOD, False, "not called"),
        ({"extraction_capability": "choices"}, WEAK, True, "asked for choices"),
        ({"extraction_capability": "choices"}, GOOD, False, "asked for choices"),
        ({"extraction_engine": "generative"}, WEAK, True, "more than it can"),
    ],
)
def test_a_model_that_is_not_good_enough_is_a_warning(
    settings: dict[str, str], found: Aptitude, warning: bool, told: str
) -> None:
    """Nobody must take a model for sound that is trusted with nothing, or that is asked for more than it can."""
    finding = trust_finding(ExtractorSettings.model_validate(settings), found)
    assert (finding.ok, finding.warning) == (True, warning)
    assert told in finding.detail


def test_a_model_that_is_no_model_is_not_to_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is known and not here can be fetched: a misspelt name is told which there are, and no more."""
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "multilingual-e5-smal")
    command = ["doctor", "--json", "--data-dir", str(tmp_path)]
    findings = json.loads(CliRunner().invoke(winnow, command).stdout)
    told = {each["check"]: each["detail"] for each in findings}
    assert told["model for embedding"].endswith("multilingual-e5-small, all-MiniLM-L6-v2")
    assert told["model for generation"].endswith("run `winnow models fetch`")


async def test_a_key_that_is_refused_hides_no_other_finding(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a wrong key keeps from being asked is one check that fails, and so is a key that cannot be one."""
    folder = tmp_path / "models"
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(folder))
    command = ["doctor", "--json", "--data-dir", str(tmp_path)]

    def examined(key: str) -> dict[str, str]:
        monkeypatch.setenv("WINNOW_API_KEY", key)
        ended = CliRunner().invoke(winnow, command)
        assert ended.exit_code == 1
        return {
            each["check"]: each["detail"] for each in json.loads(ended.stdout) if not each["ok"]
        }

    async with deployment.serving("ingest"):
        for name in NAMES:
            monkeypatch.setenv(f"WINNOW_{name.upper()}_ADDRESS", deployment.address("ingest"))
        refused = await asyncio.to_thread(examined, "wk_0.unknown")
        assert "the API key is not accepted" in refused["pipeline"]
        # Whose services run elsewhere needs no models of their own to look at them.
        assert refused.keys() == {"pipeline"}
        malformed = await asyncio.to_thread(examined, "ключ")
        assert "is no API key" in malformed["services"]


@pytest.mark.parametrize("is_outdated", [True, False])
def test_what_runs_since_before_an_upgrade_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_outdated: bool
) -> None:
    """Whoever installs a release under a running `winnow up` hears that it must be started again."""
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    data = DataDirectory(tmp_path)
    ports = Ports(**{name: free_port() for name in Ports.model_fields})
    old = {"release": "0.0.9 with schema 0001"} if is_outdated else {}
    data.announce(running_state(data, ports).model_copy(update=old))
    ended = CliRunner().invoke(winnow, ["doctor", "--json", "--data-dir", str(tmp_path)])
    found = [each for each in json.loads(ended.stdout) if each["check"] == "release"]
    told = f"`winnow up` runs 0.0.9 with schema 0001, and {release()} is installed: stop it and start it again"
    warned = {"check": "release", "ok": True, "detail": told, "warning": True}
    assert found == [warned] * is_outdated


def test_a_damaged_file_hides_no_other_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks what is wrong with a machine is told all of it, a file that a power cut has spoilt included."""
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(tmp_path))
    monkeypatch.delenv("WINNOW_API_KEY", raising=False)
    (tmp_path / "runtime.json").write_text("{")
    ended = CliRunner().invoke(winnow, ["doctor", "--json", "--data-dir", str(tmp_path)])
    told = {each["check"]: each["detail"] for each in json.loads(ended.stdout)}
    assert ended.exit_code == 1
    assert "runtime.json cannot be understood" in told["services"]
    assert "winnow models fetch" in told["model for embedding"]


async def test_a_provider_that_is_away_is_named_with_its_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong port is what is most often wrong, and the name of an error of a library tells nobody."""
    monkeypatch.setenv("WINNOW_GENERATION_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("WINNOW_GENERATION_MODEL", "some-model")
    (finding,) = await provider_findings()
    assert finding.detail.startswith("127.0.0.1:1 cannot be reached: ")
    assert "Error" not in finding.detail
