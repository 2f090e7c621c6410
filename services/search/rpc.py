"""SearchService: the contract in front of the searcher."""

import asyncio
from typing import Any, Final
from uuid import UUID

import protovalidate

from services.common import pages
from services.common.checking import violations_of
from services.common.errors import InvalidFields, WinnowError
from services.common.replies import REPLY_BYTES_MAX, sendable
from services.common.rpc import current_authorization, current_caller
from services.common.statuses import reason_of
from services.search import packing, replies, requests
from services.search.counting import Counting
from services.search.packing import Budget
from services.search.searcher import Searcher
from services.search.similarity import Similarity
from services.search.store import Subject
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1 import search_pb2_grpc

SCOPES: Final = {
    "Search": "read",
    "BatchSearch": "read",
    "FindSimilar": "read",
    "FindDuplicates": "read",
    "Count": "read",
    "Facet": "read",
    "PackContext": "read",
}
BATCH_AT_ONCE: Final = 4
DUPLICATES_SCORE_MIN: Final = 0.95
DUPLICATES_COMPARED: Final = 2_000


class SearchRpc(search_pb2_grpc.SearchServiceServicer):
    """Reads requests and writes replies."""

    def __init__(self, searcher: Searcher, validator: protovalidate.Validator) -> None:
        self._searcher, self._reads = searcher, searcher.reads
        self._validator = validator
        self._counting = Counting(searcher)
        self._similarity = Similarity(searcher)

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        """Search the caller's workspace."""
        return await self._search(request, REPLY_BYTES_MAX)

    async def _search(
        self, request: pb.SearchRequest, size_bytes: int, turns: asyncio.Semaphore | None = None
    ) -> pb.SearchResponse:
        question = requests.search_question(request, current_authorization())
        workspace, of_now = current_caller().workspace, question.wait is not None
        answer = await self._reads.run(
            lambda: self._searcher.search(workspace, question, turns), of_now=of_now
        )
        return replies.search_reply(request, question, answer, size_bytes)

    async def BatchSearch(
        self, request: pb.BatchSearchRequest, context: Any
    ) -> pb.BatchSearchResponse:
        """Search several times, a few at once; all wait at the same time for what they wait for."""
        turns = asyncio.Semaphore(BATCH_AT_ONCE)
        share = REPLY_BYTES_MAX // len(request.requests)

        async def one(each: pb.SearchRequest) -> pb.BatchSearchResult:
            try:
                if violations := violations_of(self._validator, each):
                    raise InvalidFields(*violations)
                return pb.BatchSearchResult(response=await self._search(each, share, turns))
            except WinnowError as error:
                code, reason = reason_of(error)
                failed = pb.BatchSearchError(code=code, reason=reason, message=str(error))
                return pb.BatchSearchResult(error=failed)

        # What is a defect of one ends the call, and with it the others: nobody waits for them.
        async with asyncio.TaskGroup() as group:
            searches = [group.create_task(one(each)) for each in request.requests]
        results = [search.result() for search in searches]
        return sendable(pb.BatchSearchResponse(results=results), "requests")

    async def FindSimilar(
        self, request: pb.FindSimilarRequest, context: Any
    ) -> pb.FindSimilarResponse:
        """Find what is like a subject."""
        (kind,) = requests.kinds_of([request.kind])
        workspace = current_caller().workspace
        after, chosen = requests.alike_place(request)
        found = await self._reads.run(
            lambda: self._similarity.similar(
                workspace,
                Subject(kind, UUID(request.id)),
                requests.kinds_of(request.kinds, (kind,)),
                chosen,
                request.score_min,
                pages.size_of(request.page_size, requests.PAGE_SIZE_DEFAULT),
                after,
            )
        )
        return replies.similar_reply(request, found, chosen)

    async def FindDuplicates(
        self, request: pb.FindDuplicatesRequest, context: Any
    ) -> pb.FindDuplicatesResponse:
        """Find texts that say nearly the same."""
        (kind,) = requests.kinds_of([request.kind] if request.kind else [], ("message",))
        workspace = current_caller().workspace
        after, chosen = requests.alike_place(request)
        found = await self._reads.run(
            lambda: self._similarity.duplicates(
                workspace,
                kind,
                chosen,
                request.score_min or DUPLICATES_SCORE_MIN,
                request.subjects_max or DUPLICATES_COMPARED,
                pages.size_of(request.groups_max, requests.PAGE_SIZE_DEFAULT),
                after,
            )
        )
        return replies.duplicates_reply(request, found, chosen)

    async def Count(self, request: pb.CountRequest, context: Any) -> pb.CountResponse:
        """Count what a filter leaves, or the results of a search."""
        workspace, authorization = current_caller().workspace, current_authorization()
        return await self._reads.run(
            lambda: self._counting.count(workspace, request, authorization)
        )

    async def Facet(self, request: pb.FacetRequest, context: Any) -> pb.FacetResponse:
        """Count the values of attributes."""
        workspace, authorization = current_caller().workspace, current_authorization()
        return await self._reads.run(
            lambda: self._counting.facet(workspace, request, authorization)
        )

    async def PackContext(
        self, request: pb.PackContextRequest, context: Any
    ) -> pb.PackContextResponse:
        """Pack what a model should read."""
        question = requests.packed_question(
            request, current_authorization(), packing.CANDIDATES_MAX
        )
        diversity = (
            request.diversity if request.HasField("diversity") else packing.DIVERSITY_DEFAULT
        )
        budget = Budget(
            request.tokens_max or packing.TOKENS_DEFAULT,
            request.items_max or packing.ITEMS_DEFAULT,
            diversity,
        )
        workspace, of_now = current_caller().workspace, question.wait is not None
        packed = await self._reads.run(
            lambda: packing.pack(self._searcher, workspace, question, budget), of_now=of_now
        )
        return sendable(replies.packed_reply(packed), "items_max")
