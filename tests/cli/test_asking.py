"""Which language model `winnow ask` lets word an answer."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from services.cli import asking
from services.cli.asking import LocalWriter, open_writer
from services.common.models import ModelStore
from services.common.models.errors import BadModelFile

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
