"""Words to stems: what a word counts as, whatever its ending; pure.

A word is known by its first STEM_LETTERS letters, so that an entry of the lexicon covers longer
inflections; shorter forms stand for themselves. In Cyrillic scripts an everyday word is known with
other endings too.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from services.ingest import everyday, lexicon

STEM_LETTERS = 6
# Words remembered, and as many that were so before them: a chat's words are few and come again and again.
KEPT_WORDS = 1 << 15
KEPT_LETTERS = 32
# Longer numbers hardly ever come again.
KEPT_DIGITS = 3
# Marks what begins like a word of the lexicon, or is as short, but is none.
_OTHER = "="

_APOSTROPHE = re.compile("(?<=[\u0400-\u04ff])['’ʼ`](?=[\u0400-\u04ff])")
_CYRILLIC = re.compile("[\u0430-\u045f\u0490\u0491]+")
_ENDING = re.compile(
    "(?:ого|ому|ими|ами|ями|ой|ей|ом|ем|ам|ям|ах|ях|ів|їв|ов|ев|их|им|ію|ії|ою|ею|[аеєиіїйоуюыьэя])$"
)
# What nouns and adjectives end in besides, tried only after the others: "ій" is more often part of a noun.
_LATE_ENDING = re.compile("(?:ій|ої|ові|еві|єві|єю|ією|єм)$")
# Of a verb: of its past, its infinitive, its persons and its imperative.
_VERBAL_ENDING = re.compile(
    "(?:[аяиіїеєую](?:в|вши|л|ла|ло|ли|ти|ть|тиму|тимеш|тиме|тимемо|тимете|тимуть)|[аяую](?:й|йте|ймо)"
    "|[аяую]?(?:є|єш|ємо|єте|ю|ють|е|еш|емо|ете|уть|ет|ешь|ем|ют|ут)"
    "|[иї](?:ш|шь|мо|те|т|м)|ять|ать|ят|ат|іть|йте)(?:ся|сь)?$"
)
_VOWEL = re.compile("[аеєиіїоуюяыэ]")
_DRAWN_OUT = re.compile(r"(\w)\1{2,}")
_LAUGHTER = re.compile(
    r"(?:[аa]?(?:[хx][аaеeиіi]){2,}[хx]?|(?:[аa][хx]){2,}[аa]?|(?:ha|he|hi){2,}h?|лол+|lo+l)"
)
_ROOT_LETTERS = 3
Value = TypeVar("Value")


def as_composed(text: str) -> str:
    """A text as most write it: letters with their marks in one, as macOS does not send them, and one apostrophe."""
    if text.isascii():
        return text
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return text.replace("’", "'").replace("ʼ", "'")


def fold(text: str) -> str:
    """Small letters, one way of writing: е for ё, no apostrophe within a word."""
    text = text.lower()
    if text.isascii():
        return text
    text = text.replace("ё", "е")
    if "'" in text or "’" in text or "ʼ" in text or "`" in text:
        return _APOSTROPHE.sub("", text)
    return text


def words_of(*names: str) -> list[str]:
    """The words of some classes."""
    return fold(" ".join(_CLASSES[name] for name in names)).split()


def stems(*names: str) -> frozenset[str]:
    """The stems of some classes of words."""
    return frozenset(word[:STEM_LETTERS] for word in words_of(*names))


class Remembered(dict[str, Value]):
    """What was worked out for words; of those that did not come again for long, nothing is kept."""

    def __init__(self, work_out: Callable[[str], Value]) -> None:
        super().__init__()
        self._work_out = work_out
        self._older: dict[str, Value] = {}

    def __missing__(self, word: str) -> Value:
        value = self._older.get(word)
        if value is None:
            value = self._work_out(word)
        if len(word) <= KEPT_LETTERS and not (len(word) > KEPT_DIGITS and word.isdigit()):
            if len(self) >= KEPT_WORDS:
                self._older = dict(self)
                self.clear()
            self[word] = value
        return value


def stem_of(word: str) -> str:
    """The stem of a folded word: as listed, else of laughter or a drawn-out word, else its beginning."""
    if word in _WHOLE:
        return word[:STEM_LETTERS]
    if word[0] in "аaхxhлl" and _LAUGHTER.fullmatch(word):
        return "haha"
    if len(word) > 2 and _DRAWN_OUT.search(word) and not word.isdigit():
        return stem_of(_DRAWN_OUT.sub(r"\1", word))
    stem = word[:STEM_LETTERS]
    if word in _APART:
        return stem + _OTHER
    if len(word) > STEM_LETTERS and (stem in _KNOWN or word.isascii()):
        return stem
    if _CYRILLIC.fullmatch(word):
        root = _ENDING.sub("", word)
        if listed := _listed_form(word, root):
            return listed
        if len(root) >= _ROOT_LETTERS and len(word) <= STEM_LETTERS:
            stem = root + _OTHER
    return stem + _OTHER if stem in _KNOWN and stem not in _WHOLE else stem


def _listed_form(word: str, root: str) -> str | None:
    """The stem of the everyday word that this is another form of."""
    listed = _ROOTS.get(root) or _ROOTS.get(_LATE_ENDING.sub("", word))
    verb = _VERBAL_ENDING.sub("", word)
    return listed or (_VERBAL_ROOTS.get(verb) if verb != word else None)


_CLASSES: dict[str, str] = {
    name: words
    for module in (lexicon, everyday)
    for name, words in vars(module).items()
    if name.isupper()
}
_APART = frozenset(words_of("APART"))
_LISTED = [name for name in _CLASSES if name != "APART"]
_WHOLE = frozenset(words_of(*_LISTED))
_KNOWN = stems(*_LISTED)


def _roots(ending: re.Pattern[str], letters_max: int) -> dict[str, str]:
    """Words of everyday talk by what is left without their endings."""
    roots: dict[str, str] = {}
    for word in words_of("EVERYDAY", "LIFE"):
        root = ending.sub("", word)
        if _CYRILLIC.fullmatch(word) and len(root) >= _ROOT_LETTERS and len(word) <= letters_max:
            roots.setdefault(root, word[:STEM_LETTERS])
    return roots


_ROOTS = _roots(_ENDING, STEM_LETTERS)
_VERBAL_ROOTS = {
    root: stem
    for root, stem in _roots(_VERBAL_ENDING, KEPT_LETTERS).items()
    if _VOWEL.search(root) and _VERBAL_ENDING.search(stem)
}
