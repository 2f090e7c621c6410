"""Words of one language in another, for queries in a language that the chat is not in."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Self

# The share of a query's words of the language that must be known before its translation says what the query says.
KNOWN_SHARE_MIN: Final = 0.5
_START_LETTERS: Final = 3
_ENDING_LETTERS_MAX: Final = 6

_WORD: Final = re.compile(r"[а-щьюяєіїґ]+(?:['’ʼ][а-щьюяєіїґ]+)*", re.IGNORECASE)
_APOSTROPHES: Final = re.compile(r"['’ʼ]")
# What Ukrainian inflection adds is made of these letters alone.
_ENDING: Final = re.compile(rf"[аеєиіїоуюяйьвтмхшнлсг]{{0,{_ENDING_LETTERS_MAX}}}")
_DICTIONARY_ENDING: Final = re.compile(
    r"[аяоеєьиїй]?|[ио]й|[аояиїюс]?ти|[ую]?вати|нути|[аяоеу]?н?ня|н?ость|но|ний"
)
_REFLEXIVE: Final = re.compile(r"(?<=.{4})с[яь]$")
# Sounds that change when a word is inflected: помилка, помилок; тека, теці; вхід, входу.
_FLEETING: Final = re.compile(r"(?<=[^аеєиіїоуюя])[оеє](?=к$|ц?ь$)")
_SOFTENED: Final = {"ці": "кі", "зі": "гі"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A word as it is compared, and its meanings, the most usual first."""

    key: str
    meanings: tuple[str, ...]


class Lexicon:
    """A list of Ukrainian words with their English meanings; inflected forms are found by their starts."""

    def __init__(self, entries: Mapping[str, tuple[str, ...]]) -> None:
        self._exact = {_plain(word): meanings for word, meanings in entries.items()}
        self._by_start: dict[str, list[_Entry]] = defaultdict(list)
        for word, meanings in self._exact.items():
            for key in _keys(word):
                if len(key) >= _START_LETTERS:
                    self._by_start[key[:2]].append(_Entry(key, meanings))

    @classmethod
    def read(cls, lines: Iterable[str]) -> Self:
        """Read lines such as `баг вада = bug, defect`; # begins a remark."""
        entries: dict[str, tuple[str, ...]] = {}
        for line in lines:
            words, separator, meanings = line.partition("#")[0].partition("=")
            if separator:
                added = tuple(meaning.strip() for meaning in meanings.split(","))
                for word in words.split():
                    entries[word] = tuple(dict.fromkeys(entries.get(word, ()) + added))
        return cls(entries)

    def meanings(self, word: str) -> tuple[str, ...]:
        """Return what a word in any of its forms means, the most usual first; nothing if it is unknown."""
        plain = _plain(word)
        if exact := self._exact.get(plain):
            return exact
        near = [
            (_distance(key, entry.key), entry.meanings)
            for key in _keys(plain)
            for entry in self._by_start.get(key[:2], ())
        ]
        found = [(distance, meanings) for distance, meanings in near if distance is not None]
        return min(found, key=lambda each: each[0])[1] if found else ()

    def translate(self, text: str) -> str | None:
        """Return a text word by word, unknown words as they are; None if too little of it is known."""
        words = _WORD.findall(text)
        known = sum(bool(self.meanings(word)) for word in words)
        if not known or known < KNOWN_SHARE_MIN * len(words):
            return None
        return _WORD.sub(self._first_meaning, text)

    def _first_meaning(self, match: re.Match[str]) -> str:
        meanings = self.meanings(match[0])
        return meanings[0] if meanings else match[0]


@cache
def ukrainian() -> Lexicon:
    """The lexicon that comes with the product."""
    text = files(__package__).joinpath("ukrainian.txt").read_text("utf-8")
    return Lexicon.read(text.splitlines())


def _plain(word: str) -> str:
    return _APOSTROPHES.sub("'", word.casefold())


def _keys(plain: str) -> set[str]:
    """Undo what inflection does to the inside of a word, where it may have done something."""
    bare = _REFLEXIVE.sub("", plain)
    hard = bare[:-2] + _SOFTENED.get(bare[-2:], bare[-2:])
    forms = (bare, hard, _FLEETING.sub("", hard))
    return {form.replace("і", "о") for form in forms}


def _distance(key: str, known: str) -> tuple[int, int] | None:
    """Count the letters that two forms do not share, and compare their lengths; None if they are of different words."""
    pairs = enumerate(zip(key, known, strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), min(len(key), len(known)))
    if shared < _START_LETTERS - (len(known) == _START_LETTERS):
        return None
    if not (_ENDING.fullmatch(key, shared) and _DICTIONARY_ENDING.fullmatch(known, shared)):
        return None
    return len(key) + len(known) - 2 * shared, abs(len(key) - len(known))
