"""Every command that a page shows is one that exists, with options that it has."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from services.cli.app import winnow
from tools.guide import ROOT, blocks, pages

CHOICE = re.compile(r"[\w-]+(?:\|[\w-]+)+")
INLINE = re.compile(r"`((?:winnow|make) [^`]+)`")


def commands() -> Iterator[str]:
    """The commands of all pages' blocks and sentences, and of the Dockerfile's, without comments."""
    for line in (line for block in blocks() for line in block.lines):
        uncommented = re.sub(r"\s#\s.*", "", line)
        yield from (part.strip() for part in re.split(r";\s+(?=winnow)", uncommented))
    # The changelog may speak of what is no more.
    for path in {*pages(), ROOT / "deploy/Dockerfile"} - {ROOT / "CHANGELOG.md"}:
        for found in INLINE.findall(path.read_text("utf-8")):
            choice = CHOICE.search(found)
            yield from (
                (CHOICE.sub(each, found) for each in choice[0].split("|")) if choice else [found]
            )


def parsed() -> list[str]:
    """The commands of Winnow and of make in all pages."""
    stripped = {re.sub(r"^(\w+=\S+ )+", "", each) for each in commands()}
    return sorted(each for each in stripped if re.match(r"(winnow|make) ", each))


@pytest.mark.parametrize("line", parsed())
def test_a_command_can_be_given(line: str) -> None:
    """Its subcommands exist and take its options and arguments; a target of make is one."""
    words = shlex.split(re.sub(r"\s…", "", line))
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
    assert len(parsed()) > 60
    with pytest.raises(AssertionError):
        parse(winnow, ["frobnicate"])
    with pytest.raises(AssertionError):
        parse(winnow, ["status", "--frobnicate"])
