"""How two versions of a text differ, in whole words. Pure.

Aligning takes the cube of a length at worst, so long texts are aligned sentence by sentence first, and words only
within sentences that differ; what is too long even then is taken for replaced.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final, Literal

Kind = Literal["kept", "added", "removed"]
Change = tuple[Kind, str]
PAIRS_MAX: Final = 40_000
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]+")
_SENTENCES: Final = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+")


def word_changes(before: str, after: str) -> list[Change]:
    """Stretches of words in order; what is kept and added makes the text after, what is kept and removed the one
    before.

    Empty for equal texts.
    """
    if before == after:
        return []
    changes = groupby(_changes(before, after), key=lambda change: change[0])
    return [(kind, "".join(text for _, text in run)) for kind, run in changes]


def _changes(before: str, after: str) -> Iterator[Change]:
    """The changes in words, where these are not too many, else in sentences and the words of each."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) * len(new) <= PAIRS_MAX:
        yield from _aligned(old, new)
        return
    sentences = _SENTENCES.findall(before), _SENTENCES.findall(after)
    if len(sentences[0]) * len(sentences[1]) > PAIRS_MAX:
        yield from _replaced(before, after)
        return
    for is_kept, run in groupby(_aligned(*sentences), key=lambda change: change[0] == "kept"):
        changes = list(run)
        yield from changes if is_kept else _within(changes)


def _within(changes: Sequence[Change]) -> Iterator[Change]:
    """Sentences that were replaced, in words unless these are too many."""
    before = "".join(text for kind, text in changes if kind == "removed")
    after = "".join(text for kind, text in changes if kind == "added")
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    fits = len(old) * len(new) <= PAIRS_MAX
    return _aligned(old, new) if fits else _replaced(before, after)


def _aligned(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield "kept", "".join(new[new_start:new_end])
        else:
            yield from _replaced("".join(old[old_start:old_end]), "".join(new[new_start:new_end]))


def _replaced(before: str, after: str) -> Iterator[Change]:
    """A text in place of another; either may be empty."""
    changes: tuple[Change, Change] = ("removed", before), ("added", after)
    return (change for change in changes if change[1])
