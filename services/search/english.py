"""English words that stand for each other where no ending tells so: sent for send, db for database."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files


def others(word: str) -> tuple[str, ...]:
    """Return what else an English word, or its singular, may be written as; nothing for most words."""
    known, folded = _groups(), word.casefold()
    return known.get(folded) or known.get(folded.removesuffix("s"), ())


def read(lines: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Read lines such as `send, sent`, the usual form first; # begins a remark."""
    groups: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in lines:
        words = [word.strip() for word in line.partition("#")[0].split(",") if word.strip()]
        for word in words:
            rest = (other for other in words if other != word)
            groups[word] = tuple(dict.fromkeys((*groups[word], *rest)))
    return dict(groups)


@cache
def _groups() -> Mapping[str, tuple[str, ...]]:
    """The list that comes with the product."""
    return read(files(__package__).joinpath("english.txt").read_text("utf-8").splitlines())
