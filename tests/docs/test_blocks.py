"""Every block of commands on every page is run by somebody, and one that nobody runs does not pass."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.deploy.manifests import OVERLAYS, objects
from tests.docs.shell import shell
from tools.guide import ROOT, RUNNERS, Block, assigned, blocks, blocks_of, examples, pages, run_by
from tools.image_check import documented

LANGUAGES = {"sh", "python", "jsonl", "sql", ""}
# Where each runner takes its blocks: the whole of them, line by line or as they stand.
HOMES = {
    "make": ("Makefile", ".ci/run"),
    "start": ("tests/docs/test_readme.py",),
    "command": ("tests/docs/test_readme.py",),
    "program": ("tests/pipeline/test_operating.py",),
    "grpcurl": ("tests/pipeline/test_operating.py",),
    "servers": ("tests/docs/test_installing.py",),
    "clock": ("tests/common/test_clocks.py",),
    "keys": ("tests/docs/test_installing.py",),
    "jsonl": ("tests/cli/importers/test_jsonlines.py",),
    "image": ("tools/image_check.py",),
    "cluster": ("tests/deploy/test_guide.py",),
    "upgrade": ("tests/deploy/test_guide.py",),
    "backup": ("tests/pipeline/test_restoring.py",),
    "restore": ("tests/pipeline/test_restoring.py",),
}
COMMAND = re.compile(r"^\s*(\$ |(winnow|make|kubectl|docker|grpcurl|pip|npm|python3?|psql) )")


def unrun(found: list[Block]) -> list[str]:
    """What nobody runs: blocks without a runner, those of another language, and commands in blocks of none."""
    wrong = [f"{each.page}: {each.heading}: no runner" for each, who in assigned(found) if not who]
    for each in found:
        if each.language not in LANGUAGES:
            wrong.append(f"{each.page}: {each.heading}: {each.language}")
        if not each.language:
            wrong += [f"{each.page}: {line}" for line in each.lines if COMMAND.match(line)]
    return wrong


def test_every_block_is_run() -> None:
    """No page has a block that nobody runs."""
    assert unrun(blocks()) == []
    assert {"README.md", "docs/operating.md", "examples/README.md"} <= {
        str(path.relative_to(ROOT)) for path in pages()
    }


def test_every_runner_runs() -> None:
    """Each runner has its blocks, and stands where it is said to: there it asks for them by its name."""
    assert {who for runners in RUNNERS.values() for who in runners} == HOMES.keys()
    for runner, homes in HOMES.items():
        assert run_by(runner), runner
        for home in homes if runner != "make" else ():
            assert f'run_by("{runner}"' in (ROOT / home).read_text(), home


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("docs/operating.md", "## Upgrading\n\n```sh\nx\n```\n\n```sh\nkubectl get pods\n```\n"),
        ("docs/sizing.md", "## Growing\n\n```sh\nwinnow status\n```\n"),
        ("README.md", "## Using it\n\n```console\n$ winnow up\n```\n"),
        ("README.md", "## Other\n\n```\nwinnow up\n```\n"),
        ("docs/new.md", "* a list\n\n  ```sh\n  winnow up\n  ```\n"),
    ],
)
def test_a_new_block_needs_a_runner(page: str, text: str) -> None:
    """One more below a known heading, one elsewhere, in another language, without one, or indented: all are found."""
    assert unrun(list(blocks_of(text, page)))


def test_every_example_is_run() -> None:
    """The page of the examples shows how each is run, and a test does so by what the page shows."""
    files = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".mjs")}
    assert examples().keys() == files
    tests = (ROOT / "tests/pipeline/test_operating.py").read_text()
    assert [file for file in files if f'examples()["{file}"]' not in tests] == []


def test_a_line_goes_on_after_a_backslash() -> None:
    """A command over several lines is one, and comments stay with their line."""
    block = Block("page", "", "sh", "docker build \\\n  -t x .   # a\n\nmake demo\n")
    assert block.lines == ["docker build -t x .   # a", "make demo"]
    assert dataclasses.replace(block, text="").lines == []


def test_the_two_commands_are_run() -> None:
    """`make test` is what a build server runs, and `make demo` is run as it stands by `make check-docs`."""
    (block,) = run_by("make")
    lines = [line.partition("#")[0].split() for line in block.lines]
    assert lines == [["make", "demo"], ["make", "test"]]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
    (recipe,) = re.findall(
        r"^check-docs:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert "tests.docs.check" in recipe


def test_the_images_are_those_of_the_manifests() -> None:
    """What the guide's lines build, and `make image-check` with them, has the names that the manifests ask for."""
    asked = {
        container["image"]
        for overlay in OVERLAYS
        for each in objects(overlay)
        for part in ("containers", "initContainers")
        for container in each.get("spec", {}).get("template", {}).get("spec", {}).get(part, [])
    }
    assert documented().keys() == {image for image in asked if image.startswith("winnow")}


def test_the_shell_tells_what_fails(tmp_path: Path) -> None:
    """A line that fails is an error with what it said; what one line sets, the next one knows."""
    with shell(tmp_path) as typed:
        typed.run("export NAME=winnow")
        assert typed.run("echo $NAME") == "winnow\n"
        with pytest.raises(AssertionError, match="no such page"):
            typed.run("echo no such page >&2; false")
        with pytest.raises(AssertionError):
            typed.run("exit 0")
