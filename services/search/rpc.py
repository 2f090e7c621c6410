"""SearchService: the contract in front of the searcher."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common import pages
from services.common.errors import InvalidPageToken
from services.common.rpc import current_authorization, current_caller
from services.search import query_vectors
from services.search.contents import name, timestamp
from services.search.ranking import Fused
from services.search.searcher import RESULTS_MAX, Answer, Leg, Question, Searcher
from services.search.store import Filter
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1 import search_pb2_grpc
from winnow.types.v1 import types_pb2 as types

PAGE_SIZE_DEFAULT: Final = 10
SCOPES: Final = {"Search": "read"}
_KINDS: Final = {
    types.SUBJECT_KIND_MESSAGE: "message",
    types.SUBJECT_KIND_ATOM: "atom",
    types.SUBJECT_KIND_TOPIC: "topic",
}
_KIND_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}
_KINDS_DEFAULT: Final = ("message", "atom")


class SearchRpc(search_pb2_grpc.SearchServiceServicer):
    """Reads requests and writes replies."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        """Search the caller's workspace."""
        question = _question(request, current_authorization())
        answer = await self._searcher.search(current_caller().workspace, question)
        end = question.offset + question.count
        return pb.SearchResponse(
            results=[_result(each, answer) for each in answer.results],
            next_page_token=pages.encode(request, [end]) if answer.more else "",
            freshness=pb.Freshness(
                pending_embeddings=answer.freshness.pending,
                searchable_up_to=timestamp(answer.freshness.searchable_up_to),
            ),
            warnings=answer.warnings,
            under_filled=answer.semantic.under_filled,
            explanation=_explanation(answer) if request.explain else None,
        )


def _question(request: pb.SearchRequest, authorization: str) -> Question:
    mode = request.mode or pb.SEARCH_MODE_HYBRID
    values = list(request.query_vector)
    semantic = mode != pb.SEARCH_MODE_KEYWORD
    keyword = mode != pb.SEARCH_MODE_SEMANTIC
    return Question(
        text=request.query,
        kinds=tuple(dict.fromkeys(_KINDS[kind] for kind in request.kinds)) or _KINDS_DEFAULT,
        filter=_filter(request.filter),
        semantic=_leg(request.semantic) if semantic else None,
        keyword=_leg(request.keyword) if keyword else None,
        vector=query_vectors.given(values) if values and semantic else None,
        authorization=authorization,
        offset=_offset(request),
        count=pages.size_of(request.page_size, PAGE_SIZE_DEFAULT),
    )


def _offset(request: pb.SearchRequest) -> int:
    position = pages.decode(request, 1)
    if position is None:
        return 0
    (offset,) = position
    if type(offset) is not int or not 0 < offset < RESULTS_MAX:
        raise InvalidPageToken
    return offset


def _leg(options: pb.LegOptions) -> Leg:
    return Leg(options.limit, options.score_min, options.weight or 1.0)


def _filter(chosen: pb.SearchFilter) -> Filter:
    return Filter(
        source_ids=_uuids(chosen.source_ids),
        author_ids=tuple(chosen.author_external_ids) or None,
        sent_after=_moment(chosen.sent_after) if chosen.HasField("sent_after") else None,
        sent_before=_moment(chosen.sent_before) if chosen.HasField("sent_before") else None,
        atom_types=tuple(name(types.AtomType, each) for each in chosen.atom_types) or None,
        labels=tuple(name(types.ImportanceLabel, each) for each in chosen.labels) or None,
        topic_ids=_uuids(chosen.topic_ids),
        thread_ids=tuple(chosen.thread_ids) or None,
    )


def _uuids(texts: Iterable[str]) -> tuple[UUID, ...] | None:
    return tuple(UUID(text) for text in texts) or None


def _moment(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=UTC)


def _result(fused: Fused, answer: Answer) -> pb.SearchResult:
    places = {
        leg: pb.LegScore(rank=rank, score=hit.score) for leg, (rank, hit) in fused.places.items()
    }
    return pb.SearchResult(
        kind=_KIND_NUMBERS[fused.subject.kind],
        score=fused.score,
        semantic=places.get("semantic"),
        keyword=places.get("keyword"),
        **answer.contents.subject(fused.subject),
    )


def _explanation(answer: Answer) -> pb.Explanation:
    return pb.Explanation(
        semantic_plan=answer.semantic.plan,
        estimated_rows=answer.semantic.estimated_rows,
        semantic_candidates=len(answer.semantic.nearest),
        keyword_candidates=answer.keyword_candidates,
        embed_duration=_duration(answer.timings.embed),
        semantic_duration=_duration(answer.timings.semantic),
        keyword_duration=_duration(answer.timings.keyword),
        fetch_duration=_duration(answer.timings.fetch),
    )


def _duration(seconds: float) -> Duration:
    value = Duration()
    value.FromNanoseconds(int(seconds * 1e9))
    return value
