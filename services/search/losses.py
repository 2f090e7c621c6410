"""A hybrid search of which one leg fails: it is answered by the other, with a warning."""

import logging
from typing import Final

from services.common import metrics
from services.common.errors import DatabaseUnavailable, ModelUnavailable, NoServingGeneration
from services.search.answer import Answer
from services.search.query_vectors import GenerationGone
from services.search.ranking import Hit

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
    by_words: tuple[list[Hit], float] | BaseException,
    by_meaning: list[Hit] | BaseException,
    answer: Answer,
) -> tuple[tuple[list[Hit], float] | None, list[Hit] | None]:
    """Return what both legs found, or that of the one that works with a warning; raise what neither survives."""
    if isinstance(by_words, BaseException):
        if isinstance(by_meaning, BaseException) or not isinstance(by_words, DatabaseUnavailable):
            raise by_words
        _tell("keyword", by_words, _NO_WORDS, answer)
        return None, by_meaning
    if not isinstance(by_meaning, BaseException):
        return by_words, by_meaning
    if isinstance(by_meaning, GenerationGone):
        raise by_meaning
    warning = next((text for kind, text in _LOST if isinstance(by_meaning, kind)), None)
    if warning is None:
        raise by_meaning
    _tell("semantic", by_meaning, warning, answer)
    return by_words, None


def _tell(leg: str, error: BaseException, warning: str, answer: Answer) -> None:
    """Say to whoever asked, to who watches and, where nobody else has, to who reads the log what was lost."""
    metrics.SEARCH_LEGS_LOST.labels(leg).inc()
    answer.warnings.append(warning)
    if isinstance(error, DatabaseUnavailable):
        log.warning("a search lost its %s leg: %s (%s)", leg, error, error.__cause__)
