"""What Ukrainian and Russian sentences are about, where single cues do not tell: habits, hold-ups, fears, rules.

The parts are in `slavic.py`; nothing here is said in English.
"""

from functools import lru_cache
from typing import Final

from services.extractor import cues, slavic, slavic_events, stakes, verdicts
from services.extractor.utterances import is_question

_TEXTS_KEPT: Final = 1024


def is_slavic(text: str) -> bool:
    """Whether a text has Cyrillic letters."""
    return not text.isascii() and slavic.CYRILLIC.search(text) is not None


@lru_cache(maxsize=_TEXTS_KEPT)
def recurs(sentence: str) -> bool:
    """Whether a sentence complains of what comes again: every such day, constantly, for the third time."""
    if not is_slavic(sentence) or is_question(sentence) or rules(sentence):
        return False
    if slavic.COUNTED.search(sentence):
        return True
    often = slavic.EVERY.search(sentence) or slavic.ALWAYS.search(sentence)
    return bool(often) and bool(slavic.AGAIN.search(sentence) or cues.PROBLEM.search(sentence))


@lru_cache(maxsize=_TEXTS_KEPT)
def holds_up(text: str) -> bool:
    """Whether a text says that somebody cannot go on for want of what others give, grant or bring."""
    if not is_slavic(text):
        return False
    if slavic.NOT_GRANTED.search(text) or slavic.WITHOUT.search(text):
        return True
    stuck = slavic.CANNOT.search(text) or slavic.LIES_STILL.search(text)
    return bool(stuck) and bool(slavic.AWAITED.search(text))


@lru_cache(maxsize=_TEXTS_KEPT)
def forebodes(sentence: str) -> bool:
    """Whether a sentence says what may go wrong: foreseen, under a condition, or unless people do something."""
    if not is_slavic(sentence) or is_question(sentence) or stakes.HELD.search(sentence):
        return False
    if slavic.FORESEEN.search(sentence):
        return True
    if stakes.CONDITION.search(sentence) and slavic.HARMED_THEN.search(sentence):
        return True
    unless = slavic.UNLESS.search(sentence)
    return unless is not None and not verdicts.ORDERED.match(sentence[unless.end() :].strip())


@lru_cache(maxsize=_TEXTS_KEPT)
def rules(sentence: str) -> bool:
    """Whether a sentence says what must hold: what is done only so, or may not be done."""
    if stakes.RULE.search(sentence):
        return True
    if not is_slavic(sentence) or is_question(sentence):
        return False
    if slavic.OBLIGED.search(sentence) or slavic.FORBIDDEN.search(sentence):
        return True
    if not slavic.ONLY.search(sentence) or stakes.GO_AHEAD.search(sentence):
        return False
    order = slavic.TO_DO.search(sentence)
    is_present = order and order["soft"] and slavic.UKRAINIAN.search(sentence)
    return bool(cues.PLANNED.search(sentence) or (order and not is_present))


def asks_a_fact(question: str) -> bool:
    """Whether a question asks who, when, how much, where, which of two, or whether it is so; not what to do."""
    asked, knows = _without_calls(question)
    if verdicts.weighs(question) and not knows:
        return False
    if (
        cues.FACT.match(asked)
        or slavic_events.PLACE.match(asked)
        or slavic_events.EITHER.search(asked)
    ):
        return True
    return not cues.WAY.search(asked) and not slavic_events.INTERROGATIVE.search(asked)


def asks_who_knows(question: str) -> bool:
    """Whether a question calls for anyone who knows: whatever follows is a fact to them."""
    return _without_calls(question)[1]


def _without_calls(question: str) -> tuple[str, bool]:
    """A question without the calls before it, and whether one of them is for anyone who knows."""
    rest, knows = question.lstrip(), False
    while called := slavic_events.WHO_KNOWS.match(rest) or slavic_events.CALLING.match(rest):
        knows = knows or called.re is slavic_events.WHO_KNOWS
        rest = rest[called.end() :].lstrip(" ,")
    return rest, knows
