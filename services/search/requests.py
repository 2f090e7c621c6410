"""Questions from the words of the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from services.common import pages
from services.common.errors import FieldViolation, InvalidFields
from services.common.ids import uuid7
from services.common.moments import read_moment
from services.search import query_vectors
from services.search.filters import KIND_NAMES, expression_of, read_filter
from services.search.nearness import SAMPLE_MAX
from services.search.question import (
    GROUP_SIZE_DEFAULT,
    RESULTS_MAX,
    Dress,
    Leg,
    Place,
    Question,
    Wait,
)
from services.search.ranking import Fusion
from services.search.store import Filter
from services.search.words import TERMS_MAX, is_blank
from winnow.search.v1 import search_pb2 as pb

PAGE_SIZE_DEFAULT: Final = 10
WAIT_SECONDS_DEFAULT: Final = 5.0
KINDS_DEFAULT: Final = ("message", "atom")
_GROUPS: Final = {pb.GROUP_BY_TOPIC: "topic", pb.GROUP_BY_CONVERSATION: "conversation"}
_FUSIONS: Final = {
    pb.FUSION_UNSPECIFIED: Fusion.SCORE,
    pb.FUSION_SCORE: Fusion.SCORE,
    pb.FUSION_RANK: Fusion.RANK,
}
_TOKEN_VALUES: Final = 7
_ALIKE_VALUES: Final = 4


def kinds_of(kinds: Any, default: tuple[str, ...] = KINDS_DEFAULT) -> tuple[str, ...]:
    """The names of kinds, each once."""
    return tuple(dict.fromkeys(KIND_NAMES[kind] for kind in kinds)) or default


def filter_of(request: Any) -> Filter:
    """The filter of a request that has `filter` and `filter_expression`."""
    return read_filter(request.filter, expression_of(request))


def search_question(request: pb.SearchRequest, authorization: str) -> Question:
    """The question of a search. Raises InvalidFields and InvalidPageToken."""
    after, made_until = _place(request)
    chosen = filter_of(request)
    if made_until is not None:
        chosen = replace(chosen, made_until=made_until)
    semantic, keyword = _legs(request)
    vector = _vector(request) if semantic else None
    return Question(
        text=_asked(request.query, vector),
        kinds=kinds_of(request.kinds),
        filter=chosen,
        semantic=semantic,
        keyword=keyword,
        vector=vector,
        authorization=authorization,
        after=after,
        count=pages.size_of(request.page_size, PAGE_SIZE_DEFAULT),
        wait=wait_of(request),
        dress=Dress(
            request.neighbours,
            request.highlight,
            _GROUPS.get(request.group_by, ""),
            request.group_size or GROUP_SIZE_DEFAULT,
            request.rerank,
            request.explain,
        ),
        fusion=_FUSIONS[request.fusion],
    )


@contextmanager
def within(field: str) -> Iterator[None]:
    """Tell what is wrong with a part of a request under the part's own field."""
    try:
        yield
    except InvalidFields as error:
        told = (FieldViolation(f"{field}.{v.field}", v.description) for v in error.violations)
        raise InvalidFields(*told) from None


def is_search(request: pb.CountRequest) -> bool:
    """Whether the results of a search are counted, and not all that a filter leaves."""
    has_vector = bool(request.query_vector) and request.mode != pb.SEARCH_MODE_KEYWORD
    return has_vector or bool(request.query)


def counted_question(request: pb.CountRequest, authorization: str) -> Question:
    """The question whose results are counted: all of its pages in one. Raises InvalidFields."""
    semantic, keyword = _legs(request)
    vector = _vector(request) if semantic else None
    return Question(
        text=_asked(request.query, vector),
        kinds=kinds_of(request.kinds),
        filter=filter_of(request),
        semantic=semantic,
        keyword=keyword,
        vector=vector,
        authorization=authorization,
        count=RESULTS_MAX,
    )


def packed_question(request: pb.PackContextRequest, authorization: str, count: int) -> Question:
    """The hybrid question whose best results are packed. Raises InvalidFields."""
    vector = _vector(request)
    return Question(
        text=_asked(request.query, vector),
        kinds=kinds_of(request.kinds),
        filter=filter_of(request),
        semantic=Leg(),
        keyword=Leg(),
        vector=vector,
        authorization=authorization,
        count=count,
        wait=wait_of(request),
        fusion=_FUSIONS[request.fusion],
    )


def wait_of(request: Any) -> Wait | None:
    """What a request waits for."""
    if not request.HasField("wait_for"):
        return None
    wait: pb.WaitFor = request.wait_for
    seconds = WAIT_SECONDS_DEFAULT
    if wait.HasField("timeout"):
        seconds = wait.timeout.ToTimedelta().total_seconds()
    if wait.WhichOneof("target") == "message_id":
        return Wait(UUID(wait.message_id), None, seconds)
    return Wait(None, read_moment("wait_for.accepted_until", wait.accepted_until), seconds)


def page_token(request: pb.SearchRequest, question: Question, place: Place) -> str:
    """The token of the page after a place, of the ranking of what had been made when the first page was asked for."""
    bound = question.filter.made_until or uuid7()
    # Of results there are no more, but a result may be in many groups.
    offset = min(place.offset, RESULTS_MAX - 1)
    last = [offset, place.score, str(place.id), place.key]
    return pages.encode(request, [*last, str(bound), place.slips, place.sampled, *place.counts])


def _place(request: pb.SearchRequest) -> tuple[Place | None, UUID | None]:
    position = pages.decode_at_least(request, _TOKEN_VALUES)
    if position is None:
        return None, None
    offset, score = position.integer(0, 1, RESULTS_MAX - 1), position.number(1)
    counts = tuple(position.integer(i) for i in range(_TOKEN_VALUES, len(position)))
    slips = position.integer(5, maximum=2**TERMS_MAX - 1)
    sampled = position.integer(6, maximum=SAMPLE_MAX)
    last = (position.uuid(2), position.text(3))
    place = Place(offset, score, *last, counts, slips, sampled)
    return place, position.uuid(4)


def alike_place(request: Any) -> tuple[Place | None, Filter]:
    """Where the page before ended of what is alike, if there was one, and the filter."""
    chosen, position = filter_of(request), pages.decode(request, _ALIKE_VALUES)
    if position is None:
        return None, chosen
    place = Place(position.integer(0, 1), position.number(1), position.uuid(2))
    return place, replace(chosen, made_until=position.uuid(3))


def alike_token(request: Any, place: Place, chosen: Filter) -> str:
    """The token of the page after a place, of what had been made when the first page was asked for."""
    bound = chosen.made_until or uuid7()
    return pages.encode(request, [place.offset, place.score, str(place.id), str(bound)])


def _legs(request: Any) -> tuple[Leg | None, Leg | None]:
    mode = request.mode or pb.SEARCH_MODE_HYBRID
    semantic = _leg(request.semantic) if mode != pb.SEARCH_MODE_KEYWORD else None
    keyword = _leg(request.keyword) if mode != pb.SEARCH_MODE_SEMANTIC else None
    return semantic, keyword


def _leg(options: pb.LegOptions) -> Leg:
    return Leg(options.limit, options.score_min, options.weight or 1.0)


def _asked(query: str, vector: query_vectors.QueryVector | None) -> str:
    """The query, which must say something: what is nearest to a comma is nobody's answer."""
    if vector is None and is_blank(query):
        description = "has no words: nothing but spaces and punctuation"
        raise InvalidFields(FieldViolation("query", description if query else "must not be empty"))
    return query


def _vector(request: Any) -> query_vectors.QueryVector | None:
    return query_vectors.given(request.query_vector) if request.query_vector else None
