"""What is like a subject, and groups of texts that say nearly the same."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from services.common.errors import NoServingGeneration, NotFound
from services.common.vectors import Matrix, from_halfvecs
from services.search import aims, lookups, store
from services.search.backlog import Freshness
from services.search.contents import Contents
from services.search.paging import page_of
from services.search.question import RESULTS_MAX, Place
from services.search.searcher import Searcher
from services.search.semantic import scan_settings
from services.search.store import Filter, Near, Scope, Subject

MEMBERS_MAX: Final = 20
_BLOCK: Final = 512
# Of half precision, in which vectors are kept.
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Similar:
    """A page of what is like a subject, nearest first, how many come before it, and whether more come after it."""

    before: int
    nearest: Sequence[Near]
    more: bool
    contents: Contents
    freshness: Freshness
    under_filled: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """Texts that say nearly the same: the oldest few with their cosines to the oldest, and how many there are."""

    members: tuple[Near, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """A page of clusters of what was compared, the largest first, as Similar has it."""

    before: int
    clusters: Sequence[Cluster]
    more: bool
    contents: Contents
    compared: int
    truncated: bool
    freshness: Freshness


class Similarity:
    """Compares vectors with each other."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def similar(
        self,
        workspace: UUID,
        subject: Subject,
        kinds: tuple[str, ...],
        chosen: Filter,
        score_min: float,
        count: int,
        after: Place | None = None,
    ) -> Similar:
        """Return what is nearest to a subject by any of its parts; NotFound unless it is live and has a vector."""
        end = min((after.offset if after else 0) + count, RESULTS_MAX)
        # The subject itself, and one that tells whether there is more.
        wanted = end + 2
        local = scan_settings(chosen, wanted)
        async with self._searcher.reads.reading(workspace, local) as connection:
            generation = await self._searcher.serving.generation(connection, None)
            if generation is None:
                raise NoServingGeneration
            vectors = await store.subject_vectors(connection, workspace, generation, subject)
            if not vectors:
                raise NotFound(f"{subject.kind} with a vector:", str(subject.id))
            scope = Scope(workspace, generation, chosen, kinds)
            found = await self._searcher.semantic.find(
                connection, scope, aims.plain(vectors), wanted, wanted
            )
            others = [
                near
                for near in found.nearest
                if near.subject != subject and (not score_min or near.cosine >= score_min)
            ]
            others.sort(key=_of_near)
            before, nearest, more = page_of(others, after, count, _of_near)
            contents = await Contents.read(connection, workspace, [n.subject for n in nearest])
            fresh = await self._searcher.freshness.read(connection, workspace, generation)
        more = more and before + len(nearest) < RESULTS_MAX
        return Similar(before, nearest, more, contents, fresh, found.under_filled)

    async def duplicates(
        self,
        workspace: UUID,
        kind: str,
        chosen: Filter,
        score_min: float,
        subjects_max: int,
        groups_max: int,
        after: Place | None = None,
    ) -> Duplicates:
        """Compare the newest subjects of a kind with each other, each as a whole."""
        async with self._searcher.reads.reading(workspace) as connection:
            generation = await self._searcher.serving.generation(connection, None)
            if generation is None:
                raise NoServingGeneration
            rows = await lookups.newest_vectors(
                connection, workspace, generation, chosen, kind, subjects_max + 1
            )
            fresh = await self._searcher.freshness.read(connection, workspace, generation)
        truncated = len(rows) > subjects_max
        vectors = {
            Subject(kind, each): value for each, value in rows[-subjects_max:] if value is not None
        }
        # Millions of products: in a thread, so that nobody else waits.
        clusters = await asyncio.to_thread(
            _clusters, list(vectors), list(vectors.values()), score_min
        )
        before, largest, more = page_of(clusters, after, groups_max, _of_cluster)
        async with self._searcher.reads.reading(workspace) as connection:
            shown = [near.subject for cluster in largest for near in cluster.members]
            contents = await Contents.read(connection, workspace, shown)
        return Duplicates(before, largest, more, contents, len(vectors), truncated, fresh)


def _of_near(near: Near) -> tuple[float, UUID]:
    return -near.cosine, near.subject.id


def _of_cluster(cluster: Cluster) -> tuple[float, UUID]:
    return -cluster.size, cluster.members[0].subject.id


def _clusters(
    subjects: Sequence[Subject], values: Sequence[bytes], score_min: float
) -> list[Cluster]:
    """Return clusters of two and more, the largest first."""
    if not values:
        return []
    vectors = from_halfvecs(values)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = [
        Cluster(
            tuple(
                Near(subjects[i], float(min(1.0, vectors[i] @ vectors[members[0]])))
                for i in members[:MEMBERS_MAX]
            ),
            len(members),
        )
        for members in join_near(vectors, score_min)
    ]
    return sorted(found, key=_of_cluster)


def join_near(vectors: Matrix, score_min: float) -> list[list[int]]:
    """Group the rows of an (n, d) array of unit vectors: each joins the first group whose first row is near.

    Being near is not handed on from one to the next, so a group stays about one thing.
    """
    count = len(vectors)
    taken = np.zeros(count, np.bool_)
    groups: list[list[int]] = []
    for start in range(0, count, _BLOCK):
        # Only who comes after a row may join it.
        near = vectors[start : start + _BLOCK] @ vectors[start:].T >= score_min - _ROUNDING
        for row in range(near.shape[0]):
            head = start + row
            if taken[head]:
                continue
            members = head + 1 + np.flatnonzero(near[row, row + 1 :] & ~taken[head + 1 :])
            if len(members):
                taken[members] = True
                groups.append([head, *(int(i) for i in members)])
    return groups
