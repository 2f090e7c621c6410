"""The rules of the house that no linter knows."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
INPUTS = sorted((ROOT / "requirements").glob("*.in"))
LOCKED = re.compile(r"[a-z0-9._-]+==\S+( ; .+)?( --hash=sha256:[0-9a-f]{64})+")
ADDRESS = re.compile(r"\w+://|--(extra-)?index-url|--find-links|--trusted-host|^-[if]\b")
HOME_PATH = re.compile(rb"(?<![\w.$}*])/(?:root|home|Users)/\w")
COUNTED = re.compile(
    r"\{[^{}:]*(:,)?\} (atoms|calls|messages|rows|tasks|texts|topics|vectors|windows)\b"
)
MODULE_LINES_MAX = 400


@cache
def tracked() -> list[Path]:
    """Return every file that git tracks or would add; skip outside a checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout, so nothing is tracked")
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def statements(path: Path) -> list[str]:
    """Return the requirements of a file with continued lines joined and comments gone."""
    joined = re.sub(r"\\\n\s*", "", path.read_text())
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locked_requirements_are_hashed(path: Path) -> None:
    """Every locked requirement is one exact version with its hashes."""
    assert [line for line in statements(path) if not LOCKED.fullmatch(line)] == []


@pytest.mark.parametrize("path", LOCKS + INPUTS, ids=lambda path: path.name)
def test_requirements_name_no_hosts(path: Path) -> None:
    """Where packages come from is the reader's own setting, in no file of ours."""
    assert [line for line in path.read_text().splitlines() if ADDRESS.search(line)] == []


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_dependencies_have_reasons(path: Path) -> None:
    """Every dependency says on its line what it is for."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#-"]
    assert lines
    assert [line for line in lines if not re.search(r"\S\s+# \w.+", line)] == []


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_dependencies_are_locked(path: Path) -> None:
    """Every dependency that is asked for is in the locked file beside it."""
    locked = {
        Requirement(line.split(" --hash")[0]).name for line in statements(path.with_suffix(".txt"))
    }
    asked = {Requirement(line).name for line in statements(path) if not line.startswith("-")}
    assert asked <= locked


def test_distribution_asks_for_the_runtime() -> None:
    """The installed distribution depends on what requirements/runtime.in lists, and on no more."""
    asked = {str(Requirement(line)) for line in statements(ROOT / "requirements" / "runtime.in")}
    assert {str(Requirement(line)) for line in requires("winnow") or []} == asked


def test_generated_packages_import_from_anywhere(tmp_path: Path) -> None:
    """Wherever Python is started, the contract and its rules can be imported."""
    code = "import services, winnow.ingest.v1.ingest_pb2, buf.validate.validate_pb2"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_imports_point_one_way() -> None:
    """Every import contract in pyproject.toml is kept."""
    checked = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_everything_public_must_be_documented() -> None:
    """ruff asks for a docstring on every module, class, function and test."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    excused = {rule for rules in lint["per-file-ignores"].values() for rule in rules}
    assert "D1" in lint["select"]
    assert {rule for rule in {*lint["ignore"], *excused} if rule.startswith("D1")} == {
        "D105",
        "D107",
    }


def test_modules_are_small() -> None:
    """No module of services/ is longer than a reader can hold."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "services").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES_MAX
    }
    assert long == {}


def test_no_file_names_a_home_directory() -> None:
    """No tracked file knows the machine it was written on."""
    naming = [
        str(path.relative_to(ROOT)) for path in tracked() if HOME_PATH.search(path.read_bytes())
    ]
    assert naming == []


def test_failed_installation_shows_why(tmp_path: Path) -> None:
    """A long step that fails keeps its exit code, shows the end of its output and names the log."""
    log = tmp_path / "step.log"
    failing = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    step = [sys.executable, "tools/heartbeat.py", "installing", str(log), *failing]
    ran = subprocess.run(step, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 3
    assert "the reason" in ran.stderr
    assert str(log) in ran.stderr


def test_targets_are_listed() -> None:
    """`make` alone lists every target that a person may call."""
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in phony.split() if f"  {name} " not in listed] == []


def test_commands_count_in_the_singular_too() -> None:
    """What a command counts is worded by `counted`, which knows one from many."""
    commands = [path for path in tracked() if path.is_relative_to(ROOT / "services/cli")]
    texts = [path for path in commands if path.suffix == ".py"]
    assert texts
    assert [path.name for path in texts if COUNTED.search(path.read_text())] == []
