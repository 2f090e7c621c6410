"""Answers in the words of the contract."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from services.common.replies import REPLY_BYTES_MAX, Space
from services.search import grouping, paging
from services.search.answer import Answer, Group
from services.search.backlog import Freshness
from services.search.contents import Contents, message, timestamp, topic
from services.search.filters import KIND_NAMES
from services.search.fitting import fit, fit_items
from services.search.nearness import bearing
from services.search.packing import Item, Packed
from services.search.question import Place, Question
from services.search.ranking import Fused, Fusion
from services.search.requests import alike_token, page_token
from services.search.similarity import Cluster, Duplicates, Similar
from services.search.store import Filter, Near, Subject
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

KIND_NUMBERS: Final = {name: number for number, name in KIND_NAMES.items()}
# What follows the results that are shown: the token of the next page, and what is said of those that are not.
_ENDING_BYTES_MAX: Final = 2_048
_FUSIONS: Final = {Fusion.SCORE: pb.FUSION_SCORE, Fusion.RANK: pb.FUSION_RANK}
_OUTCOMES: Final = {
    "": pb.WAIT_OUTCOME_UNSPECIFIED,
    "reached": pb.WAIT_OUTCOME_REACHED,
    "timed_out": pb.WAIT_OUTCOME_TIMED_OUT,
    "dead": pb.WAIT_OUTCOME_DEAD,
}


def search_reply(
    request: pb.SearchRequest,
    question: Question,
    answer: Answer,
    size_bytes: int = REPLY_BYTES_MAX,
) -> pb.SearchResponse:
    """A page of a search, which ends early where a reply does not hold more."""
    reply = pb.SearchResponse(
        freshness=freshness(answer.freshness, answer.wait_outcome),
        under_filled=answer.semantic.under_filled,
        explanation=explanation(question, answer) if question.dress.explain else None,
        total_size=answer.total,
        near_score=answer.near_score,
        warnings=answer.warnings,
    )
    space = Space(size_bytes - reply.ByteSize() - _ENDING_BYTES_MAX)
    if answer.groups:
        shown, warnings = fit(
            reply.groups,
            answer.groups,
            lambda each, into: _write_group(each, question, answer, into),
            space,
        )
        answer.more |= shown < len(answer.groups)
        answer.groups = answer.groups[:shown]
    else:
        shown, warnings = fit(
            reply.results,
            answer.results,
            lambda each, into: _write_result(each, answer, into),
            space,
        )
        if shown < len(answer.results):
            last = answer.page.index(answer.results[shown - 1])
            answer.page, answer.more = answer.page[: last + 1], True
    reply.next_page_token = _token(request, question, answer)
    reply.warnings.extend(warnings)
    return reply


def _token(request: pb.SearchRequest, question: Question, answer: Answer) -> str:
    """Reordered results are the best few of the ranking, and have no further pages."""
    if not answer.more or answer.rerank_scores or not (answer.groups or answer.page):
        return ""
    if answer.groups:
        before = question.after.offset if question.after else 0
        place = grouping.place_after(answer.groups, before)
    else:
        place = paging.place_after(question, answer)
    if answer.meaning is not None:
        place = replace(place, sampled=answer.meaning.sampled)
    if answer.lookup is not None:
        place = replace(place, counts=answer.lookup.counts, slips=answer.lookup.slips)
    return page_token(request, question, place)


def result(fused: Fused, answer: Answer) -> pb.SearchResult:
    """One result with its places in the legs, and what it is to come with."""
    made = pb.SearchResult()
    _write_result(fused, answer, made)
    return made


def _write_result(fused: Fused, answer: Answer, into: pb.SearchResult) -> None:
    subject = fused.subject
    into.kind, into.score = KIND_NUMBERS[subject.kind], fused.score
    for leg, at in fused.places.items():
        place = into.semantic if leg == "semantic" else into.keyword
        place.rank, place.score, place.share = at.rank, at.hit.score, at.share
        if leg == "semantic" and answer.sought is not None:
            place.score = answer.cosines.get(subject, 0.0)
    for span in answer.highlights.get(subject, ()):
        into.highlights.add(field=span.field, offset=span.offset, length=span.length)
    if (around := _neighbours(subject, answer)) is not None:
        into.neighbours.MergeFrom(around)
    if (graded := answer.rerank_scores.get(subject)) is not None:
        into.rerank_score = graded
    answer.contents.write(subject, into)


def similar_reply(
    request: pb.FindSimilarRequest, found: Similar, chosen: Filter
) -> pb.FindSimilarResponse:
    """What is like a subject."""
    reply = pb.FindSimilarResponse(
        freshness=freshness(found.freshness), under_filled=found.under_filled
    )
    kept = [near for near in found.nearest if near.subject in found.contents]
    shown, warnings = fit(
        reply.results,
        kept,
        lambda near, into: _write_near(near, found.contents, into),
        Space(),
    )
    reply.warnings.extend(warnings)
    if (found.more or shown < len(kept)) and found.nearest:
        last = kept[shown - 1] if shown < len(kept) else found.nearest[-1]
        offset = found.before + found.nearest.index(last) + 1
        place = Place(offset, last.cosine, last.subject.id)
        reply.next_page_token = alike_token(request, place, chosen)
    return reply


def duplicates_reply(
    request: pb.FindDuplicatesRequest, found: Duplicates, chosen: Filter
) -> pb.FindDuplicatesResponse:
    """Texts that say nearly the same."""
    reply = pb.FindDuplicatesResponse(
        compared=found.compared,
        truncated=found.truncated,
        freshness=freshness(found.freshness),
    )
    shown, warnings = fit(
        reply.groups,
        found.clusters,
        lambda cluster, into: _write_cluster(cluster, found.contents, into),
        Space(),
    )
    reply.warnings.extend(warnings)
    if shown and (found.more or shown < len(found.clusters)):
        last = found.clusters[shown - 1]
        place = Place(found.before + shown, last.size, last.members[0].subject.id)
        reply.next_page_token = alike_token(request, place, chosen)
    return reply


def _write_cluster(cluster: Cluster, contents: Contents, into: pb.DuplicateGroup) -> None:
    into.size = cluster.size
    for near in cluster.members:
        if near.subject in contents:
            _write_near(near, contents, into.results.add())


def _write_near(near: Near, contents: Contents, into: pb.SearchResult) -> None:
    into.kind, into.score = KIND_NUMBERS[near.subject.kind], near.cosine
    contents.write(near.subject, into)


def freshness(known: Freshness, outcome: str = "") -> pb.Freshness:
    """What cannot be found by meaning yet."""
    return pb.Freshness(
        pending_embeddings=known.pending,
        searchable_up_to=timestamp(known.searchable_up_to),
        dead_embeddings=known.dead,
        wait_outcome=_OUTCOMES[outcome],
    )


def explanation(question: Question, answer: Answer) -> pb.Explanation:
    """How a search was done."""
    semantic, timings, lookup = answer.semantic, answer.timings, answer.lookup
    words, meaning = answer.words, answer.meaning
    columns = (
        (lookup.texts, lookup.queries, lookup.containing, lookup.weights, lookup.names)
        if lookup
        else ()
    )
    terms = zip(*columns, strict=True)
    ordered = sorted(terms, key=lambda term: -term[3])
    return pb.Explanation(
        semantic_plan=semantic.plan,
        plan_reason=semantic.reason,
        estimated_rows=semantic.estimated_rows,
        total_rows=semantic.total_rows,
        selectivity=semantic.selectivity,
        index_breadth=semantic.breadth,
        semantic_candidates=len(semantic.nearest),
        keyword_candidates=len(words.hits) if words else 0,
        terms=[
            pb.TermExplanation(
                text=text, query=query, documents=documents, weight=weight, is_name=is_name
            )
            for text, query, documents, weight, is_name in ordered
        ],
        wait_duration=_duration(timings.wait),
        embed_duration=_duration(meaning.embed_seconds if meaning else 0.0),
        semantic_duration=_duration(meaning.seconds if meaning else 0.0),
        keyword_duration=_duration(words.seconds if words else 0.0),
        rerank_duration=_duration(timings.rerank),
        fetch_duration=_duration(timings.fetch),
        total_duration=_duration(timings.total),
        fusion=_FUSIONS[question.fusion] if question.is_hybrid else pb.FUSION_UNSPECIFIED,
        semantic_weight=answer.weights.get("semantic", 0.0),
        keyword_weight=answer.weights.get("keyword", 0.0),
    )


def _write_group(group: Group, question: Question, answer: Answer, into: pb.ResultGroup) -> None:
    into.size = len(group.members)
    if isinstance(group.key, UUID):
        if (row := answer.contents.topics.get(group.key)) is not None:
            into.topic.MergeFrom(topic(row))
    elif group.key is not None:
        into.conversation.source_id = str(group.key.source_id)
        into.conversation.source_title = group.key.source_title
        into.conversation.thread_id = group.key.thread_id
    for each in group.members[: question.dress.group_size]:
        if each.subject in answer.contents:
            _write_result(each, answer, into.results.add())


def _neighbours(subject: Subject, answer: Answer) -> pb.Neighbours | None:
    if subject.kind != "message" or subject.id not in answer.around:
        return None
    around = answer.around[subject.id]
    return pb.Neighbours(
        before=_messages(around.before, answer.contents),
        after=_messages(around.after, answer.contents),
    )


def _messages(ids: Sequence[UUID], contents: Contents) -> list[types.Message]:
    return [message(contents.messages[each]) for each in ids if each in contents.messages]


def _duration(seconds: float) -> Duration:
    value = Duration()
    value.FromNanoseconds(int(seconds * 1e9))
    return value


def packed_reply(packed: Packed) -> pb.PackContextResponse:
    """What to read."""
    answer = packed.answer
    held = [_held(item, answer) for item in packed.items]
    items = [_context_item(*each, answer) for each in zip(packed.items, held, strict=True)]
    named = answer.lookup.named_words if answer.lookup else ()
    if answer.lookup and named:
        for item, made in zip(packed.items, items, strict=True):
            made.own_words = answer.lookup.share_beside_names(_held(item, answer, alone=True))
            made.concerns_named = item.concerns_named
    fit_items(items)
    together = functools.reduce(operator.or_, held, 0)
    return pb.PackContextResponse(
        items=items,
        tokens=packed.tokens,
        candidates=packed.candidates,
        duplicates=packed.duplicates,
        over_budget=packed.over_budget,
        coverage=answer.lookup.coverage if answer.lookup else 0.0,
        freshness=freshness(answer.freshness, answer.wait_outcome),
        warnings=answer.warnings,
        near_score=answer.near_score,
        missing_words=answer.lookup.lacking(together) if answer.lookup else (),
        named_words=named,
    )


def _held(item: Item, answer: Answer, *, alone: bool = False) -> int:
    """Which terms an item and the messages that it rests on have, a bit each: alone, or with what stands around."""
    subjects = {item.fused.subject.id, *item.messages}
    found = (each.places.get("keyword") for each in answer.ranked if each.subject.id in subjects)
    hits = (at.hit.own if alone else at.hit.held for at in found if at)
    return functools.reduce(operator.or_, hits, 0)


def _context_item(item: Item, held: int, answer: Answer) -> pb.ContextItem:
    found, whole = result(item.fused, answer), answer.lookup.whole if answer.lookup else 0.0
    words = found.keyword.score / whole if whole else 0.0
    return pb.ContextItem(
        citation=item.citation,
        result=found,
        text=item.text,
        message_ids=[str(each) for each in item.messages],
        tokens=item.tokens,
        bearing=bearing(found.semantic.score, answer.near_score, words),
        words=answer.lookup.share(held) if answer.lookup else 0.0,
    )
