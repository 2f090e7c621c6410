"""Counts and facets: of all that a filter leaves, or of the results of a search."""

from collections import Counter
from typing import Final
from uuid import UUID

from services.search import lookups, requests
from services.search.lookups import Facets
from services.search.replies import KIND_NUMBERS
from services.search.searcher import Searcher
from services.search.store import Filter
from winnow.search.v1 import search_pb2 as pb

VALUES_DEFAULT: Final = 10
_KEYS: Final = {
    pb.FACET_KEY_KIND: "kind",
    pb.FACET_KEY_SOURCE: "source",
    pb.FACET_KEY_AUTHOR: "author",
    pb.FACET_KEY_THREAD: "thread",
    pb.FACET_KEY_TOPIC: "topic",
    pb.FACET_KEY_LABEL: "label",
    pb.FACET_KEY_ATOM_TYPE: "atom_type",
    pb.FACET_KEY_APPROVAL_STATE: "approval_state",
    pb.FACET_KEY_LANGUAGE: "language",
    pb.FACET_KEY_MONTH: "month",
}


class Counting:
    """Counts in a workspace."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def count(
        self, workspace: UUID, request: pb.CountRequest, authorization: str
    ) -> pb.CountResponse:
        """Count by kind."""
        warnings: list[str] = []
        if requests.is_search(request):
            question = requests.counted_question(request, authorization)
            answer = await self._searcher.search(workspace, question)
            counts = dict(Counter(each.subject.kind for each in answer.results))
            warnings = answer.warnings
        else:
            kinds = requests.kinds_of(request.kinds)
            async with self._searcher.reads.reading(workspace) as connection:
                counts = await lookups.count_all(
                    connection, workspace, requests.filter_of(request), kinds
                )
        return pb.CountResponse(
            count=sum(counts.values()),
            kinds=[
                pb.KindCount(kind=KIND_NUMBERS[kind], count=count)
                for kind, count in counts.items()
                if count
            ],
            warnings=warnings,
        )

    async def facet(
        self, workspace: UUID, request: pb.FacetRequest, authorization: str
    ) -> pb.FacetResponse:
        """Count the values of attributes."""
        among, warnings, ids = request.among, list[str](), None
        with requests.within("among"):
            kinds, chosen = requests.kinds_of(among.kinds), requests.filter_of(among)
            if requests.is_search(among):
                question = requests.counted_question(among, authorization)
                answer = await self._searcher.search(workspace, question)
                ids = [each.subject.id for each in answer.results]
                chosen, warnings = Filter(), answer.warnings
        keys = [_KEYS[key] for key in request.keys]
        async with self._searcher.reads.reading(workspace) as connection:
            found = await lookups.facets(
                connection,
                workspace,
                chosen,
                kinds,
                keys,
                request.values_max or VALUES_DEFAULT,
                ids,
                request.title_contains,
            )
        return pb.FacetResponse(
            facets=[_facet(key, _KEYS[key], found) for key in request.keys],
            count=found.subjects,
            warnings=warnings,
        )


def _facet(number: "pb.FacetKey.ValueType", key: str, found: Facets) -> pb.FacetCounts:
    values = found.values.get(key, [])
    return pb.FacetCounts(
        key=number,
        values=[pb.FacetValue(value=v.value, title=v.title, count=v.count) for v in values],
        more_values=found.distinct.get(key, 0) - len(values),
    )
