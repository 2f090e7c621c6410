"""How two versions of a text differ, in whole words. Pure."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final, Literal

Kind = Literal["kept", "added", "removed"]
_PIECES: Final = re.compile(r"\s+|\w+|[^\w\s]+")


def word_changes(before: str, after: str) -> list[tuple[Kind, str]]:
    """Stretches of words in order; what is kept and added makes the text after, what is kept and removed the one
    before.

    Empty for equal texts.
    """
    return [] if before == after else [change for change in _changes(before, after) if change[1]]


def _changes(before: str, after: str) -> Iterator[tuple[Kind, str]]:
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield "kept", "".join(new[new_start:new_end])
        else:
            yield "removed", "".join(old[old_start:old_end])
            yield "added", "".join(new[new_start:new_end])
