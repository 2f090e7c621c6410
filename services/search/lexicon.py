"""Words of one language in another, for queries in a language that the chat is not in."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import itemgetter
from typing import Final, Self

from services.search.english import others

# The share of a query's words of the language that must be known before its translation says what the query says.
KNOWN_SHARE_MIN: Final = 0.5
_START_LETTERS: Final = 3
_ENDING_LETTERS_MAX: Final = 6

_TELLING_LETTERS: Final = 4
_ENGLISH_ENDINGS: Final = (
    ("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ied", "y"), ("ing", ""), ("ing", "e"),
)  # fmt: skip

_WORD: Final = re.compile(r"[а-щьюяєіїґ]+(?:['’ʼ][а-щьюяєіїґ]+)*", re.IGNORECASE)
_APOSTROPHES: Final = re.compile(r"['’ʼ]")
_QUOTES: Final = " \t«„“\"'("
# What Ukrainian inflection adds is made of these letters alone.
_ENDING: Final = re.compile(rf"[аеєиіїоуюяйьвтмхшнлсг]{{0,{_ENDING_LETTERS_MAX}}}")
_DICTIONARY_ENDING: Final = re.compile(
    r"[аяоеєьиїй]?|[ио]й|[аояиїюс]?ти|[ую]?вати|нути|[аяоеу]?н?ня|н?ость|но|ний"
)
_REFLEXIVE: Final = re.compile(r"(?<=.{4})с[яь]$")
# Sounds that change when a word is inflected: помилка, помилок; рівень, рівня; тека, теці; вхід, входу.
_FLEETING: Final = re.compile(r"(?<=[^аеєиіїоуюя])[оеє](?=[^аеєиіїоуюяйь]ь?$)")
_SOFTENED: Final = {"ці": "кі", "зі": "гі"}

# How words of a kind begin to be inflected: the ending of the dictionary, and those of the other forms.
_ADJECTIVE: Final = (
    "а|о|у|е|ої|ою|ий|ій|их|ім|им|ого|ому|ими|я|ю|є|і|ьої|ьою|іх|іми|ього|ьому"
    "|і?ш(?:ий|а|е|і|у|ого|ому|им|ої|ій|ою|их|ими)"
)
_NOUN: Final = (
    "|а|у|ю|я|і|ї|и|е|є|о|ь|й|ові|еві|єві|ом|ем|єм|ою|ею|єю|ів|їв|ей|ам|ям|ами|ями|ах|ях|ьми|ню"
)
_VERB: Final = (
    "(?:[аяиіоуеюєї]|[ую]?ва|ну)?(?:т[иь]|тим(?:у|еш|е|емо|ете|уть)|в|вши|л[аои]|й|йте|ймо|[нт]о|нн(?:я|ю|ям|і)"
    "|[нт](?:ий|ого|ому|им|ім|а|ої|ій|у|ою|е|і|их|ими))"
    "|(?:[аяіуоює]|ну)?(?:ю|є|єш|єм|ємо|єте|ють)|л?(?:ю|у|я)|н?(?:е|еш|ем|емо|ете|уть|у|и|іть)"
    "|л?(?:ять|ють|ен[оийаіу]|ення|енню|енням|енні)|иш|ить|им|имо|ите|ать|їш|їть|їмо|їте|ь|ьте|ен[оийаеіу]|ення"
)
_KINDS: Final = tuple(
    (re.compile(dictionary), re.compile(forms.replace("і", "о")))
    for dictionary, forms in (
        (r"(?:[аяиіоуеюєї]|[ую]ва|ну)?ти$", _VERB),
        (r"[иоїі]й$", _ADJECTIVE),
        (r"[аяоеєиїьй]?$", _NOUN),
    )
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A word as it is compared, its meanings, the most usual first, and what may follow its stem."""

    key: str
    meanings: tuple[str, ...]
    endings: re.Pattern[str]


class Lexicon:
    """A list of Ukrainian words with their English meanings; inflected forms are found by their starts."""

    def __init__(self, entries: Mapping[str, tuple[str, ...]]) -> None:
        self._exact = {_plain(word): meanings for word, meanings in entries.items()}
        self._by_stem: dict[str, list[_Entry]] = defaultdict(list)
        self._by_start: dict[str, list[_Entry]] = defaultdict(list)
        self._by_meaning: dict[str, list[str]] = defaultdict(list)
        for word, meanings in entries.items():
            for meaning in meanings:
                self._by_meaning[meaning.casefold()].append(word)
        for word, meanings in self._exact.items():
            for key in _keys(word):
                if len(key) >= _START_LETTERS:
                    self._add(key, meanings)

    def _add(self, key: str, meanings: tuple[str, ...]) -> None:
        ending, forms = next((e, forms) for e, forms in _KINDS if e.search(key))
        found = ending.search(key)
        entry = _Entry(key, meanings, forms)
        self._by_stem[key[: found.start() if found else len(key)]].append(entry)
        for length in range(_START_LETTERS - (len(key) == _START_LETTERS), len(key) + 1):
            if _DICTIONARY_ENDING.fullmatch(key, length):
                self._by_start[key[:length]].append(entry)

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
        keys = _keys(plain)
        return _nearest(self._inflected(keys)) or _nearest(self._alike(keys))

    def knows(self, word: str) -> bool:
        """Whether a word is one of either language: in its form as the list has it, or as its kind is inflected."""
        plain = _plain(word)
        return bool(plain in self._exact or self.words(plain) or any(self._inflected(_keys(plain))))

    def words(self, meaning: str) -> tuple[str, ...]:
        """Return the words of the language that an English word in any of its forms may mean; none if it is unknown."""
        known = map(self._by_meaning.get, _english_forms(meaning.casefold()))
        return tuple(dict.fromkeys(next(filter(None, known), ())))

    def _inflected(self, keys: Iterable[str]) -> Iterator[tuple[str, _Entry]]:
        """Find words of which a key is a form that words of their kind have."""
        for key in keys:
            for length in range(2, len(key) + 1):
                for entry in self._by_stem.get(key[:length], ()):
                    if entry.endings.fullmatch(key, length):
                        yield key, entry

    def _alike(self, keys: Iterable[str]) -> Iterator[tuple[str, _Entry]]:
        """Find words with which a key shares all but what inflection could have added to either."""
        for key in keys:
            for length in range(2, len(key) + 1):
                if _ENDING.fullmatch(key, length):
                    for entry in self._by_start.get(key[:length], ()):
                        if key[length : length + 1] != entry.key[
                            length : length + 1
                        ] or length == len(key):
                            yield key, entry

    def translate(self, text: str) -> str | None:
        """Return a text word by word, unknown words as they are; None if too little of it is known."""
        words = _WORD.findall(text)
        known = sum(bool(self.meanings(word)) for word in words)
        if not known or known < KNOWN_SHARE_MIN * len(words):
            return None
        return _WORD.sub(self._first_meaning, text)

    def _first_meaning(self, match: re.Match[str]) -> str:
        meanings = self.meanings(match[0])
        if not meanings or (_is_name(match) and meanings[0].islower()):
            return match[0]
        return meanings[0]


def _is_name(match: re.Match[str]) -> bool:
    """Whether a word begins with a capital, and not since a sentence does: Надія is nobody's hope there."""
    before = match.string[: match.start()].rstrip(_QUOTES)
    return match[0].istitle() and bool(before) and before[-1] not in ".!?:\n"


@cache
def ukrainian() -> Lexicon:
    """The lexicon that comes with the product."""
    text = files(__package__).joinpath("ukrainian.txt").read_text("utf-8")
    return Lexicon.read(text.splitlines())


def _english_forms(word: str) -> Iterator[str]:
    """An English word, then what it may be a form of: houses, tries, stored, planned, heating, sent; or short for."""
    yield word
    yield from others(word)
    for ending, instead in _ENGLISH_ENDINGS:
        bare = word.removesuffix(ending)
        if bare != word and len(bare) + len(instead) >= _START_LETTERS:
            yield bare + instead
            if not instead and bare[-1] == bare[-2]:
                yield bare[:-1]


def beginning(word: str) -> str:
    """What the forms of a word of the lexicon begin with; nothing if that is too short to tell it from others."""
    bare = _REFLEXIVE.sub("", word)
    found = next(found for ending, _ in _KINDS if (found := ending.search(bare)))
    start = bare[: found.start()]
    if start == bare and _FLEETING.search(start):
        start = start[:-2]
    return start if len(start) >= _TELLING_LETTERS else ""


def _plain(word: str) -> str:
    return _APOSTROPHES.sub("'", word.casefold())


def _keys(plain: str) -> tuple[str, ...]:
    """Undo what inflection does to the inside of a word, where it may have done something; as it is comes first."""
    bare = _REFLEXIVE.sub("", plain)
    hard = bare[:-2] + _SOFTENED.get(bare[-2:], bare[-2:])
    forms = (bare, hard, _FLEETING.sub("", hard))
    return tuple(dict.fromkeys(form.replace("і", "о") for form in forms))


def _nearest(found: Iterable[tuple[str, _Entry]]) -> tuple[str, ...]:
    """The meanings of the word that shares most with its form; none if none was found."""
    best = min(
        ((_distance(key, entry.key), entry) for key, entry in found),
        default=None,
        key=itemgetter(0),
    )
    return best[1].meanings if best else ()


def _distance(key: str, known: str) -> tuple[int, int]:
    """Count the letters that two forms do not share, and compare their lengths."""
    pairs = enumerate(zip(key, known, strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), min(len(key), len(known)))
    return len(key) + len(known) - 2 * shared, abs(len(key) - len(known))
