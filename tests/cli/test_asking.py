"""Which language model `winnow ask` lets word an answer."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import answering, asking
from services.cli.app import winnow
from services.cli.asking import LocalWriter, open_writer
from services.common.models import ModelStore
from services.common.models.errors import BadModelFile
from tests.conftest import Deployment
from tests.search.library import Library

SMALL = "smollm2-135m-instruct"


@pytest.fixture
def models() -> ExitStack:
    """What closes a model that was opened."""
    return ExitStack()


def test_a_model_may_be_the_path_of_a_file(
    models: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file words answers if it is large enough, as the model of the same bytes does that is known by a name."""
    file = ModelStore.open().resolve(SMALL, "generation").path
    for named in (SMALL, str(file)):
        monkeypatch.setenv("WINNOW_GENERATION_MODEL", named)
        assert open_writer(models) is None
    monkeypatch.setattr(asking, "WRITES_FROM_BYTES", 0)
    with models:
        assert isinstance(open_writer(models), LocalWriter)


def test_a_file_that_is_not_there_is_named(
    models: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that leads nowhere is an error, and no unknown name; a model that is only elsewhere is none."""
    monkeypatch.setenv("WINNOW_GENERATION_MODEL", str(tmp_path / "none.gguf"))
    with pytest.raises(BadModelFile, match=r"none\.gguf"):
        open_writer(models)
    monkeypatch.setenv("WINNOW_GENERATION_MODEL", SMALL)
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(tmp_path))
    assert open_writer(models) is None


@pytest.mark.timeout(300)
async def test_a_local_model_is_given_no_more_than_it_holds(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tokens than the model's context has are told by the option, and it answers from as many as fit."""
    library = await Library(deployment.admin, deployment.workspace).open()
    for number in range(20):
        words = " ".join(f"reason{number} disk{place}" for place in range(12))
        await library.add_message(f"the backup failed since {words}")
    monkeypatch.setenv("WINNOW_GENERATION_MODEL", SMALL)
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    monkeypatch.setattr(asking, "WRITES_FROM_BYTES", 0)
    monkeypatch.setattr(answering, "ANSWER_TOKENS_MAX", 1)  # what it says is nothing to the test
    monkeypatch.setattr(asking, "_LOCAL_CONTEXT_TOKENS", 1200)
    asked = ["ask", "why did the backup fail?", "--tokens", "32768"]
    async with deployment.serving("search"):
        ended = await asyncio.to_thread(CliRunner().invoke, winnow, asked)
    assert ended.exit_code == 0, ended.stderr
    assert "--tokens: the model can read no more than " in ended.stderr
    assert "did not answer" not in ended.stdout
