"""Every command that a page shows is one that exists, with options that it has."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from services.__main__ import winnow

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/operating.md",
    "docs/sizing.md",
    "examples/README.md",
    "deploy/Dockerfile",
)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:winnow|make) [^`]+)`")


def commands(page: str) -> Iterator[str]:
    """The commands of a page's blocks and sentences, without comments."""
    path = ROOT / page
    if not path.exists():
        return
    text = path.read_text()
    for block in BLOCK.findall(text):
        joined = re.sub(r"\\\n\s*", " ", block)
        for line in joined.splitlines():
            yield from (
                part.strip() for part in re.split(r";\s+(?=winnow)", re.sub(r"\s#\s.*", "", line))
            )
    yield from INLINE.findall(text)


def parsed() -> list[str]:
    """The commands of Winnow and of make in all pages."""
    found = {each for page in PAGES for each in commands(page)}
    stripped = {re.sub(r"^(\w+=\S+ )+", "", each) for each in found}
    return sorted(each for each in stripped if re.match(r"(winnow|make) ", each))


@pytest.mark.parametrize("line", parsed())
def test_a_command_can_be_given(line: str) -> None:
    """Its subcommands exist and take its options and arguments; a target of make is one."""
    words = shlex.split(re.sub(r"\s…$", "", line))
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert [word for word in words[1:] if "=" not in word and word not in targets] == []
        return
    parse(winnow, words[1:])


def parse(command: click.Command, words: list[str]) -> None:
    """Parse a command line as click would, without running it."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name="winnow")
        if not words or words[0].startswith("-"):
            return
        found = command.get_command(context, words[0])
        assert found is not None, words[0]
        parse(found, words[1:])
    elif "--help" not in words and words:
        options = {name for parameter in command.params for name in parameter.opts}
        named = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert set(named) <= options, named


def test_the_pages_show_commands() -> None:
    """The search for commands finds those of the guide, and would find one that does not exist."""
    assert len(parsed()) > 40
    with pytest.raises(AssertionError):
        parse(winnow, ["frobnicate"])
    with pytest.raises(AssertionError):
        parse(winnow, ["status", "--frobnicate"])
