"""The wire contract: well made, never broken, and the generated code is made of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
VALIDATE = Path("third_party/buf/validate/validate.proto")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the virtual environment in a folder."""
    path = os.pathsep.join((str(BIN), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "BUF_CACHE_DIR": str(folder / ".cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def rebuild_validate(folder: Path) -> subprocess.CompletedProcess[str]:
    """Write validate.proto below `folder`/third_party."""
    program = ROOT / "tools" / "validate_proto.py"
    return run(folder, sys.executable, str(program), str(folder / "third_party"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that buf reads, validate.proto made anew."""
    folder = tmp_path_factory.mktemp("contract")
    for name in ("buf.yaml", "buf.gen.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("protos", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    rebuilt = rebuild_validate(folder)
    assert rebuilt.returncode == 0, rebuilt.stderr
    return folder


@pytest.fixture
def edited(pristine: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may spoil."""
    return shutil.copytree(pristine, tmp_path / "edited")


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the bytes of every generated file in a folder, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def breaking(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compare the protos in a folder with the contract last released."""
    return run(folder, "buf", "breaking", "protos", "--against", "protos/released.binpb")


def replace(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_protos_pass_lint(pristine: Path) -> None:
    """Every proto keeps the STANDARD and COMMENTS rules."""
    assert "use: [STANDARD, COMMENTS]" in (pristine / "buf.yaml").read_text()
    linted = run(pristine, "buf", "lint")
    assert linted.returncode == 0, linted.stdout


def test_lint_wants_comments(edited: Path) -> None:
    """A service without a comment is reported, so lint does look."""
    bare = 'syntax = "proto3";\npackage winnow.bare.v1;\nservice BareService {}\n'
    path = edited / "protos" / "winnow" / "bare" / "v1" / "bare.proto"
    path.parent.mkdir(parents=True)
    path.write_text(bare)
    linted = run(edited, "buf", "lint")
    assert linted.returncode == 100
    assert "BareService" in linted.stdout


def test_protos_are_formatted(pristine: Path) -> None:
    """`buf format` has nothing to change."""
    formatted = run(pristine, "buf", "format", "protos", "--diff", "--exit-code")
    assert formatted.returncode == 0, formatted.stdout


def test_released_contract_is_kept(pristine: Path) -> None:
    """No change since the last release breaks a client that was built against it."""
    compared = breaking(pristine)
    assert compared.returncode == 0, compared.stdout


def test_removed_field_is_reported(edited: Path) -> None:
    """A field that is gone is named, so the comparison does look."""
    path = edited / "protos" / "winnow" / "search" / "v1" / "search.proto"
    lines = path.read_text().splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith("message SearchRequest {"))
    field = next(n for n in range(begin, len(lines)) if lines[n].startswith("  string "))
    end = next(n for n in range(field, len(lines)) if lines[n].rstrip().endswith(";"))
    path.write_text("".join(lines[:field] + lines[end + 1 :]))
    compared = breaking(edited)
    assert compared.returncode == 100, compared.stderr
    assert 'on message "SearchRequest" was deleted' in compared.stdout


def test_generated_code_is_fresh(pristine: Path) -> None:
    """gen/ is exactly what the protos generate: nothing edited, missing or left over."""
    generated = run(pristine, "buf", "generate")
    assert generated.returncode == 0, generated.stderr
    committed, fresh = contents(ROOT / "gen"), contents(pristine / "gen")
    assert committed.keys() == fresh.keys()
    assert [str(path) for path in fresh if committed[path] != fresh[path]] == []


def test_validate_proto_is_rebuilt_alike(pristine: Path, tmp_path: Path) -> None:
    """Rebuilding validate.proto gives the same bytes every time, equal to any copy in use."""
    rebuild_validate(tmp_path)
    rebuilt = (tmp_path / VALIDATE).read_bytes()
    assert rebuilt == (pristine / VALIDATE).read_bytes()
    if (ROOT / VALIDATE).exists():
        assert rebuilt == (ROOT / VALIDATE).read_bytes()


def test_inexact_validate_proto_is_refused(edited: Path) -> None:
    """A printer that loses anything of the descriptor fails instead of writing the file."""
    (edited / VALIDATE).unlink()
    replace(edited / "tools" / "validate_proto.py", "yield from reserved(", "reserved(")
    rebuilt = run(edited, sys.executable, "tools/validate_proto.py")
    assert rebuilt.returncode == 1
    assert "does not compile to the descriptor" in rebuilt.stderr
    assert not (edited / VALIDATE).exists()
