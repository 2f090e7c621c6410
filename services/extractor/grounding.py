"""Grounding: a quote is believed only where its words stand in the message it names."""

import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.extractor.extraction import Evidence, WindowMessage

_QUOTE_CHARACTERS_MIN = 6
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼ`´′", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
    }
)


@dataclass(frozen=True, slots=True)
class FoldedText:
    """Comparable characters of a text, each with the span of code points it came from."""

    characters: str
    starts: Sequence[int]
    ends: Sequence[int]


Fold = Callable[[str], FoldedText]
"""Folds a text, or knows it folded: who looks for many quotes in the same texts remembers them."""


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Spans of a base character together with the combining marks after it."""
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not unicodedata.combining(text[index]):
            yield start, index
            start = index


def _fold_cluster(cluster: str) -> str:
    if unicodedata.category(cluster[0]) == "Cf":
        return ""
    # Some marks are taken apart by normalising, so they are folded before, too.
    plain = unicodedata.normalize("NFKD", cluster.translate(_FOLDED))
    folded = plain.casefold().translate(_FOLDED)
    return " " if folded.isspace() else folded


def fold(text: str) -> FoldedText:
    """Fold case, compatibility forms, typographic marks and runs of space; keep the offsets."""
    characters: list[str] = []
    starts, ends = array("I"), array("I")
    for start, end in _clusters(text) if text else ():
        for character in _fold_cluster(text[start:end]):
            if character == " " and characters[-1:] == [" "]:
                ends[-1] = end
                continue
            characters.append(character)
            starts.append(start)
            ends.append(end)
    return FoldedText("".join(characters), starts, ends)


def locate(quote: str, text: str, folded_of: Fold = fold) -> tuple[int, int] | None:
    """Offsets `[start, end)` in code points of the quote in the text, or None; case is ignored."""
    wanted = folded_of(quote).characters.strip(" .…\"'")
    if not any(character.isalnum() for character in wanted):
        return None
    folded = folded_of(text)
    position = folded.characters.find(wanted)
    if position < 0:
        return None
    return folded.starts[position], folded.ends[position + len(wanted) - 1]


def ground(quote: str, message: WindowMessage, folded_of: Fold = fold) -> Evidence | None:
    """Evidence for a quote of this message, or None when it is not there or proves nothing."""
    span = locate(quote, message.text, folded_of)
    if span is None:
        return None
    start, end = span
    if end - start < min(_QUOTE_CHARACTERS_MIN, len(message.text.strip())):
        return None
    return Evidence(message.id, message.text[start:end], start, end)


def is_grounded(evidence: Iterable[Evidence], messages: Iterable[WindowMessage]) -> bool:
    """Whether there is evidence and every passage stands in its message at its offsets."""
    texts = {message.id: message.text for message in messages}
    passages = tuple(evidence)
    return bool(passages) and all(
        passage.quote.strip() != ""
        and texts.get(passage.message_id, "")[passage.start : passage.end] == passage.quote
        for passage in passages
    )
