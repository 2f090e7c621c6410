"""Prompts as files, in the language of the chat, with the messages as fenced data."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template
from typing import Final, Literal

from services.extractor.extraction import WindowMessage

Language = Literal["en", "uk", "ru"]

_CAPS: Final = (1200, 600, 300, 160, 80)
_UKRAINIAN: Final = frozenset("іїєґ")
_RUSSIAN: Final = frozenset("ыэёъ")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def dominant_language(texts: Iterable[str]) -> Language:
    """Ukrainian or Russian where most letters are Cyrillic, by the letters only one has."""
    letters = [character for text in texts for character in text.casefold() if character.isalpha()]
    cyrillic = sum("\u0400" <= character <= "\u04ff" for character in letters)
    if cyrillic * 2 <= len(letters):
        return "en"
    ukrainian = sum(character in _UKRAINIAN for character in letters)
    russian = sum(character in _RUSSIAN for character in letters)
    return "uk" if ukrainian >= russian else "ru"


def template(name: str, language: Language) -> str:
    """The text of a prompt file, for example `extract` in `uk`."""
    path = files("services.extractor") / "prompts" / f"{name}.{language}.txt"
    return path.read_text(encoding="utf-8")


def fill(name: str, language: Language, **values: str) -> str:
    """A prompt with its places filled."""
    return Template(template(name, language)).substitute(values)


def blocks(name: str, language: Language) -> list[str]:
    """The parts of a prompt that blank lines separate: what is asked, and examples of two lines each."""
    return template(name, language).strip().split("\n\n")


def digest(*names: str) -> str:
    """Eight hexadecimal digits that change when any wording of these prompts does."""
    languages: tuple[Language, ...] = ("en", "uk", "ru")
    texts = "\0".join(template(name, language) for name in names for language in languages)
    return hashlib.sha256(texts.encode()).hexdigest()[:8]


def one_line(text: str, characters_max: int) -> str:
    """A text as data for a prompt: no line breaks or control characters, bounded."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= characters_max else line[:characters_max].rstrip() + " …"


def random_delimiter() -> str:
    """A fence no message can know beforehand."""
    return f"=== {secrets.token_hex(8)} ==="


def fenced(lines: Sequence[str], delimiter: str) -> str:
    """Lines between two delimiters none of them can contain."""
    safe = [line.replace(delimiter, "") for line in lines]
    return "\n".join((delimiter, *safe, delimiter))


def message_line(mark: str, message: WindowMessage, characters_max: int) -> str:
    """One message as a line of a prompt."""
    return f"[{mark}] {one_line(message.author, 40)}: {one_line(message.text, characters_max)}"


def fair_cap(texts: Sequence[str], characters_max: int) -> int:
    """The most characters each text may keep so that all fit; beyond ASCII a character is two."""
    for cap in _CAPS:
        if sum(_weight(text[:cap]) for text in texts) <= characters_max:
            return cap
    return max(16, characters_max // max(1, 2 * len(texts)))


def _weight(text: str) -> int:
    return sum(1 if character.isascii() else 2 for character in text)
