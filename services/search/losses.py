"""A hybrid search of which one leg fails: it is answered by the other, with a warning."""

import logging
from typing import Final

from services.common import metrics
from services.common.errors import (
    DatabaseUnavailable,
    ModelUnavailable,
    NoServingGeneration,
    WinnowError,
)
from services.search.finding import ByMeaning, ByWords
from services.search.query_vectors import GenerationGone

log = logging.getLogger(__name__)

_NO_EMBEDDER: Final = "the embedder does not answer: these results were found by words alone"
_NOT_EMBEDDED: Final = "nothing has been embedded yet: these results were found by words alone"
_NO_VECTORS: Final = "vectors could not be read: these results were found by words alone"
_LOST: Final = (
    (NoServingGeneration, _NOT_EMBEDDED),
    (DatabaseUnavailable, _NO_VECTORS),
    (ModelUnavailable, _NO_EMBEDDER),
)
_NO_WORDS: Final = "words could not be looked up: these results were found by meaning alone"


def what_is_left(
    by_words: ByWords | BaseException, by_meaning: ByMeaning | BaseException
) -> tuple[ByWords | None, ByMeaning | None, list[str]]:
    """Return what both legs found, or the one that works, and what to warn of; raise what neither survives.

    Of two that fail a defect is raised before what is only away for the moment.
    """
    if isinstance(by_words, BaseException):
        if isinstance(by_meaning, BaseException):
            raise min(by_words, by_meaning, key=lambda error: isinstance(error, WinnowError))
        if not isinstance(by_words, DatabaseUnavailable):
            raise by_words
        return None, by_meaning, [_told("keyword", by_words, _NO_WORDS)]
    if not isinstance(by_meaning, BaseException):
        return by_words, by_meaning, []
    warning = next((text for kind, text in _LOST if isinstance(by_meaning, kind)), None)
    if warning is None or isinstance(by_meaning, GenerationGone):
        raise by_meaning
    return by_words, None, [_told("semantic", by_meaning, warning)]


def _told(leg: str, error: BaseException, warning: str) -> str:
    """Say to who watches and, where nobody else has, to who reads the log what was lost; return what to warn of."""
    metrics.SEARCH_LEGS_LOST.labels(leg).inc()
    if isinstance(error, DatabaseUnavailable):
        log.warning("a search lost its %s leg: %s (%s)", leg, error, error.__cause__)
    return warning
