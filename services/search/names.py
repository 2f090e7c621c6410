"""Whom a query names: its words that are a part of an author's name, in any case and in the letters of either script.

A name may be an ordinary word: Will, Mark, Слава. Such a word is a name where it has a capital that no sentence gives
it, or stands beside another part of the same name; else it is what it says.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Self

from services.search.lexicon import Lexicon, ukrainian
from services.search.transliteration import in_latin
from services.search.words import FUNCTION_WORDS, STOP_WORDS, TIME_WORDS

# What more authors share than this, and than this share of all, is a title or a company and names nobody.
SHARED_MAX: Final = 3
SHARED_SHARE: Final = 0.05
# A part that is shorter, an initial, names somebody beside another part alone.
PART_LETTERS_MIN: Final = 2
# Shorter names in Latin letters are who they are as they are spelt, or in Cyrillic.
_HEARD_LETTERS_MIN: Final = 5
_STEM_LETTERS_MIN: Final = 3

_TOKEN: Final = re.compile(r"\w+(?:['’ʼ`]\w+)*")
# Those of English that PostgreSQL's list drops, but for `will`: nobody's name, though it may stand in one.
_NEVER: Final = (
    STOP_WORDS
    | FUNCTION_WORDS
    | frozenset(
        """a an the and or but nor of off out up down in into on onto at to for from by with without about as am is are
        was were been being have has had having does did doing would could should ought shall might must cannot isn
        aren wasn weren hasn haven hadn doesn don didn won wouldn shan shouldn can couldn mustn let me my myself we
        us ours yours him his himself she her hers herself its theirs them themselves whom this that these those
        whose if than very mr mrs ms dr і в у з та що не на по и не с к о об от""".split()
    )
)

# By these people only look for something.
_SEEKING: Final = frozenset(
    """know knows known knew find show search look information info anything something everything знаємо знаєш знає
    знати відомо знайти знайди покажи пошук інформація щось знаем знаешь знать известно найти найди поиск""".split()
)

# No part of an address, a path or what else is joined.
_WORD: Final = re.compile(r"(?<![\w/.:=&?%+~\\])(?<!\w@)\w+(?:['’ʼ`]\w+)*(?![/\\]|[.:@=&?%+~]?\w)")
_ASIDE: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_POSSESSIVE: Final = re.compile(r"['’ʼ`]s$", re.IGNORECASE)
_CYRILLIC: Final = re.compile("[Ѐ-ӿ]")
_SENTENCE_ENDS: Final = ".!?…\n"
# What may stand before a sentence's first word, as white space may.
_OPENINGS: Final = "«„“\"'(@#-"
# How a name sounds, whichever letters it is written in: Andriy, Andrii, Андрій; Hnatiuk, Gnatyuk, Гнатюк.
_SOUNDS: Final = {
    "shch": "щ", "sch": "ш", "tch": "ч", "sh": "ш", "ch": "ч", "ck": "k", "ph": "f", "th": "t", "kh": "g", "zh": "ж",
    "ts": "ц", "tz": "ц", "qu": "kv", "q": "k", "h": "g", "j": "i", "w": "v", "x": "ks", "y": "i",
}  # fmt: skip
_SOUND: Final = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))
_SOFT: Final = re.compile("c(?=[eiy])")
_TWICE: Final = re.compile(r"(\D)\1+")
# What the cases of names end in, as it sounds; before it a consonant, which ends the stem.
_INFLECTED: Final = (
    re.compile(r"(.+[^aeiou])(?:[aeiou]{1,3}|[aeiou]{1,2}m)"),
    re.compile(r"(.+[^aeiou])(?:[oe]vi|ogo|omu)"),
)
_VOWELS: Final = re.compile("[aeiou]+$")
_SOFTENED: Final = {"ц": "k", "z": "g", "s": "g"}
_FLEETING: Final = re.compile("[eo](?=[^aeiou]$)")


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a word names, by their ids, and whether it is sure to be a name, since it is written as one.

    `spelt` is what it is in their names, in small letters: Tom, for Тома.
    """

    authors: frozenset[str]
    is_sure: bool
    spelt: frozenset[str] = frozenset()


class Names:
    """The names of a workspace's authors, by how their parts sound."""

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self._lexicon = lexicon or ukrainian()
        self._authors: dict[str, set[str]] = defaultdict(set)
        self._spelt: dict[str, set[str]] = defaultdict(set)
        self._whole: dict[str, set[str]] = defaultdict(set)
        # Short ones in Latin letters, which are heard in Cyrillic words alone.
        self._short: dict[str, set[str]] = defaultdict(set)
        # By the stem, those whose name is in Cyrillic letters, and those in Latin ones, which have no cases.
        self._cyrillic: dict[str, set[str]] = defaultdict(set)
        self._latin: dict[str, set[str]] = defaultdict(set)

    @classmethod
    def of(cls, parts: Collection[str]) -> Self:
        """Whoever is called by some parts of names, as one: how many they are does not matter."""
        made = cls()
        if parts:
            made.add("", parts)
        return made

    def __len__(self) -> int:
        return len(self._authors)

    def add(self, author: str, names: Iterable[str]) -> None:
        """Take an author, by id, and what they are called."""
        parts = self._authors[author]
        for name in names:
            for part in _parts(name):
                parts.add(part.casefold())
                self._spelt[part.casefold()].add(author)
                sound = heard(part)
                stems = self._cyrillic if _CYRILLIC.search(part) else self._latin
                is_heard = stems is self._cyrillic or len(sound) >= _HEARD_LETTERS_MIN
                (self._whole if is_heard else self._short)[sound].add(author)
                for stem in _stems(sound):
                    stems[stem].add(author)

    def named(self, query: str) -> Mapping[str, Named]:
        """Return the words of a query that name authors, as `part_of` has them, each with whom it names."""
        if not self._authors:
            return {}
        words = list(_WORD.finditer(unicodedata.normalize("NFKC", query)))
        called = [self._called(_bare(word[0])) for word in words]
        found: dict[str, Named] = {}
        for place, (word, authors) in enumerate(zip(words, called, strict=True)):
            beside = called[max(place - 1, 0) : place] + called[place + 1 : place + 2]
            together = frozenset[str]().union(*(authors & other for other in beside))
            if not authors or not (together or len(word[0]) >= PART_LETTERS_MIN):
                continue
            part, is_sure = part_of(word[0]), bool(together) or _is_written_as_name(word)
            if is_sure or not self._is_ordinary(part):
                whom = together or authors
                found[part] = Named(whom, is_sure, self._spelt_by(whom, part))
        return found

    def stands_in(self, text: str) -> bool:
        """Whether a text has a word that names any of them, or may."""
        return any(
            self._called(_bare(word))
            and (word[0].isupper() or not self._is_ordinary(part_of(word)))
            for word in set(_TOKEN.findall(text))
            if len(word) >= PART_LETTERS_MIN
        )

    def _spelt_by(self, authors: Iterable[str], word: str) -> frozenset[str]:
        """The parts of authors' names that a word is, or is a case of."""
        sound = heard(word)
        stems = {sound, *_uninflected(sound)}
        parts = {part for author in authors for part in self._authors[author]}
        return frozenset(p for p in parts if not stems.isdisjoint((heard(p), *_stems(heard(p)))))

    def _called(self, word: str) -> frozenset[str]:
        """Return who is called so."""
        if word.casefold() in _NEVER:
            return frozenset()
        sound = heard(word)
        found = self._spelt.get(word.casefold(), set()) | self._whole.get(sound, set())
        if _CYRILLIC.search(word):
            found |= self._short.get(sound, set())
        for stem in _uninflected(sound):
            found |= self._cyrillic.get(stem, set())
            if _CYRILLIC.search(word):
                found |= self._latin.get(stem, set())
        most = max(SHARED_MAX, SHARED_SHARE * len(self._authors))
        return frozenset(found) if len(found) <= most else frozenset()

    def _is_ordinary(self, word: str) -> bool:
        return word in TIME_WORDS or word in _ordinary() or self._lexicon.knows(word)


def _is_written_as_name(word: re.Match[str]) -> bool:
    """Whether a word has a capital that its sentence does not give it."""
    text = word[0]
    if not text[:1].isupper() or text.isupper():
        return False
    return not _begins_sentence(word.string, word.start()) or bool(_POSSESSIVE.search(text))


def _begins_sentence(text: str, at: int) -> bool:
    """Whether what stands at a place is the first word of a sentence; looked at backwards, only as far as it takes."""
    while at and text[at - 1] != "\n" and (text[at - 1] in _OPENINGS or text[at - 1].isspace()):
        at -= 1
    return not at or text[at - 1] in _SENTENCE_ENDS


def part_of(word: str) -> str:
    """A word as it is asked about: in small letters, without a possessive ending."""
    return _bare(word).casefold()


def asks_more(terms: Iterable[str], named: Collection[str]) -> bool:
    """Whether terms ask for more than for those who are named: of a name alone, what mentions it is wanted."""
    rest = (set(parts_of(term)) - set(named) for term in terms)
    return any(part not in _NEVER and part not in _SEEKING for parts in rest for part in parts)


def mentioned(named: Mapping[str, Named]) -> Mapping[str, Named]:
    """The same names where who mentions them is asked for, and not who wrote."""
    return {word: replace(each, authors=frozenset()) for word, each in named.items()}


def parts_of(text: str) -> Iterator[str]:
    """The words of a term, each as `part_of` has it."""
    return (part_of(word) for word in _TOKEN.findall(text))


@lru_cache(maxsize=4_096)
def heard(word: str) -> str:
    """How a word sounds: the same for most of the ways in which a name is written in both scripts."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", word.casefold()) if c.isalnum() or c == "_"
    )
    if _CYRILLIC.search(word):
        # Letters that NFKD takes apart are one in Cyrillic: й, ї.
        plain = in_latin("".join(c for c in word.casefold() if c.isalnum() or c == "_"))
    soft = _SOFT.sub("s", plain)
    sound = _SOUND.sub(lambda part: _SOUNDS[part[0]], soft).replace("c", "k")
    return _TWICE.sub(r"\1", _TWICE.sub(r"\1", sound).replace("ie", "e"))


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word)


def _parts(name: str) -> Iterator[str]:
    return map(_bare, _TOKEN.findall(_ASIDE.sub(" ", name)))


def _stems(sound: str) -> Iterator[str]:
    """What the cases of a name begin with."""
    stem = _VOWELS.sub("", sound)
    if len(stem) >= _STEM_LETTERS_MIN:
        yield stem
        if stem == sound and (without := _FLEETING.sub("", stem)) != stem:
            yield without


def _uninflected(sound: str) -> Iterator[str]:
    """What a word may be a case of."""
    for ending in _INFLECTED:
        inflected = ending.fullmatch(sound)
        if inflected and len(stem := inflected[1]) >= _STEM_LETTERS_MIN:
            yield stem
            if hard := _SOFTENED.get(stem[-1]):
                yield stem[:-1] + hard


@cache
def _ordinary() -> Collection[str]:
    """Names that are words besides."""
    lines = files(__package__).joinpath("names.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines for word in line.partition("#")[0].split())
