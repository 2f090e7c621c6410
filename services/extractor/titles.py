"""Titles and contents in the people's own words: nothing is invented, little is cut."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.extractor import cues
from services.extractor.extraction import CONTENT_CHARACTERS_MAX, TITLE_CHARACTERS_MAX
from services.extractor.utterances import Utterance, content_words, stem

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。！？])\s+(?=\S)|\n+|(?<=[;])\s+")
_LEAD_IN: Final = re.compile(
    r"\s*(?:(?:so|and|but|well|ok(?:ay)?|oh|ah|hm+|btw|also|yes|no|yeah|yep|yup|nah|nope|cool|right|"
    r"sorry|one question|question|actually|basically|anyway|um+|oops|correct|sure|please|"
    r"thanks(?: a (?:lot|ton))?|thank you|а|і|й|та|ну|так|ні|да|нет|и|но|то|ще|ещё|доречі|до речі|"
    r"кстати|дякую|спасибо|добре|хорошо)\b[\s,.!:;…-]+|[*>•–—.-]+\s*|\d{0,2}[(\[]\w{2,12}[)\]]:?\s+)+",
    re.IGNORECASE,
)
_CLAUSE_END: Final = re.compile(r"[,;:—–(]\s|\s[-–—]\s|\.\s")


def sentences(text: str) -> list[str]:
    """The sentences of a text, roughly: by final marks and lines."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def tidy(text: str) -> str:
    """One line without doubled spaces."""
    return " ".join(text.split())


def shorten(text: str, characters_max: int = TITLE_CHARACTERS_MAX) -> str:
    """The text cut at a clause or a word, with an ellipsis, so that it fits."""
    text = tidy(text)
    if len(text) <= characters_max:
        return text
    head = text[: characters_max - 1]
    clauses = [match.start() for match in _CLAUSE_END.finditer(head)]
    if clauses and clauses[-1] >= characters_max * 0.55:
        return head[: clauses[-1]].rstrip(" ,;:(-–—.")
    space = head.rfind(" ")
    head = head[:space] if space > characters_max // 3 else head
    return head.rstrip(" ,;:(-–—.") + "…"


def polish(sentence: str) -> str:
    """A sentence as a title: without a lead-in, its first letter raised, no final stop."""
    rest = _LEAD_IN.sub("", tidy(sentence), count=1) if _LEAD_IN.match(sentence) else tidy(sentence)
    rest = cues.THANKS.sub("", rest).strip() if cues.THANKS.match(rest) else rest
    rest = (rest or tidy(sentence)).lstrip(" ,.!:;").rstrip(" .,:;-!")
    if rest[:1].islower() and rest.partition(" ")[0].isalpha():
        rest = rest[0].upper() + rest[1:]
    return rest


def best_sentence(
    utterances: Iterable[Utterance],
    rarity: Callable[[str], float],
    asking: bool = False,
) -> str:
    """The sentence that says most for its length; a question or failure where one is wanted."""
    best, best_weight = "", 0.0
    for position, utterance in enumerate(utterances):
        for sentence in sentences(utterance.body):
            weight = _sentence_weight(sentence, rarity, asking) * 0.92**position
            if weight > best_weight:
                best, best_weight = sentence, weight
    return best


def _sentence_weight(sentence: str, rarity: Callable[[str], float], asking: bool) -> float:
    words = set(content_words(sentence))
    weight: float = sum(rarity(stem(word)) for word in words) ** 0.7
    if sentence.rstrip().endswith(("?", "？", "؟")):
        weight *= 2.0 if asking else 0.6
    elif asking and (cues.FAILURE.search(sentence) or cues.ASKING.search(sentence)):
        weight *= 1.5
    letters = sum(character.isalpha() or character.isspace() for character in sentence)
    weight *= 0.5 if letters < 0.75 * len(sentence) else 1.0
    return weight * (0.75 if len(sentence) > 180 else 1.0)


def title(
    utterances: Sequence[Utterance],
    rarity: Callable[[str], float],
    asking: bool = False,
    about: str = "",
) -> str:
    """A title of at most 90 characters; a thin one is completed with what it is `about`."""
    own = polish(best_sentence(utterances, rarity, asking))
    if not own:
        own = tidy(utterances[0].body) or tidy(utterances[0].message.text)
    if about and len(content_words(own)) < 3 and len(own) < TITLE_CHARACTERS_MAX - 24:
        return f"{own} — {shorten(about, TITLE_CHARACTERS_MAX - len(own) - 3)}"
    return shorten(own)


def content(utterances: Sequence[Utterance], about: str = "") -> str:
    """What was said, speaker by speaker in order, after what it answers (`about`)."""
    lines: list[str] = [f"«{about}»"] if about else []
    speaker = None
    for utterance in utterances:
        said = tidy(utterance.body) or tidy(utterance.message.text)
        if utterance.speaker == speaker:
            lines[-1] = _joined(lines[-1], said)
        else:
            lines.append(f"{utterance.message.author}: {said}".lstrip(": "))
        speaker = utterance.speaker
    return shorten_lines(lines, CONTENT_CHARACTERS_MAX)


def _joined(line: str, said: str) -> str:
    return f"{line} {said}" if line[-1:] in ".!?…:,;" else f"{line}. {said}"


def shorten_lines(lines: Sequence[str], characters_max: int) -> str:
    """Lines joined, cut at a word when they are longer than allowed."""
    text = "\n".join(lines)
    if len(text) <= characters_max:
        return text
    head = text[: characters_max - 1]
    return head[: max(head.rfind(" "), characters_max // 2)].rstrip() + "…"
