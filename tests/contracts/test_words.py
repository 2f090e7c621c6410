"""The words that the services know are spelt as people spell them: each in one script, its letters in one."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"
# What a pattern says besides words: classes, and letters behind a backslash.
_BESIDES = re.compile(r"\[\^?\]?[^\]]*\]|\\[a-zA-Z]")
_MIXED = re.compile(r"\w*(?:[a-zA-Z][\u0400-\u052f]|[\u0400-\u052f][a-zA-Z])\w*")

# Letters of both scripts, of which one is looked for.
_LETTERS = frozenset(
    ("abcdefghijklmnopqrstuvwxyzабвгґдеєжзиіїйклмнопрстуфхцчшщьюяыэъё0123456789", "аaхxhлl")
)


def told(file: Path) -> Iterator[str]:
    """The texts that stand in a source."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_word_mixes_scripts() -> None:
    """A Latin letter in a Cyrillic word looks right and matches nothing that anybody writes."""
    mixed = {
        f"{file.relative_to(SERVICES)}: {word}"
        for file in SERVICES.rglob("*.py")
        for text in told(file)
        for word in _MIXED.findall(_BESIDES.sub(" ", text))
        if word not in _LETTERS
    }
    assert not mixed


def test_letters_stand_in_one() -> None:
    """Texts are composed before patterns see them, so a word whose marks stand apart matches nothing."""
    apart = {
        str(file.relative_to(SERVICES))
        for file in SERVICES.rglob("*.py")
        if not unicodedata.is_normalized("NFC", file.read_text("utf-8"))
    }
    assert not apart
