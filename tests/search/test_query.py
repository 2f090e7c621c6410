"""What one call of the query API can ask: pages, thresholds, fusion, batches, and what explains it."""

from typing import Any

import grpc
import pytest

from tests.search.asking import KEYWORD, SEMANTIC, call, nest
from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

# The second after the last of year 9999.
NO_TIME = 253_402_300_800


async def test_pages_do_not_move_when_something_is_added(desk: Desk) -> None:
    """What is added between two pages must neither repeat a result nor push one out, in any mode."""
    names = [f"page number {i}" for i in range(12)]
    await desk.library.add_messages(names, [unit(1, i / 10) for i in range(12)])
    fields: dict[str, Any] = {"query_vector": unit(1).tolist(), "page_size": 5}
    both = [(pb.SEARCH_MODE_HYBRID, fusion) for fusion in (pb.FUSION_SCORE, pb.FUSION_RANK)]
    for mode, fusion in [(SEMANTIC, 0), (KEYWORD, 0), *both]:
        fields |= {"fusion": fusion}
        one_page = fields | {"page_size": 100}
        whole = texts(await desk.client.search("page number", mode=mode, **one_page))
        first = await desk.client.search("page number", mode=mode, **fields)
        before = [text for text in whole if text in texts(first)]
        added = await desk.library.add_messages(["page number"] * 3, [unit(1)] * 3)
        second = await desk.client.search(
            "page number", mode=mode, page_token=first.next_page_token, **fields
        )
        assert not set(texts(second)) & set(texts(first))
        if mode != KEYWORD:
            assert texts(second) == whole[len(before) : len(before) + 5]
        await desk.library.admin.execute(
            "delete from embedder.vector where subject_id = any ($1)", added
        )
        await desk.library.admin.execute("delete from ingest.message where id = any ($1)", added)


async def test_totals_agree_with_pages_and_thresholds(desk: Desk) -> None:
    """The total must be the number of results over all pages, also under a threshold, and Count must say the same."""
    await desk.library.add_messages([f"w {i}" for i in range(30)], [unit(1, i) for i in range(30)])
    vector = unit(1).tolist()
    leg = pb.LegOptions(score_min=0.3)
    counted = 0
    token = ""
    while True:
        page = await desk.client.search(
            mode=SEMANTIC, query_vector=vector, semantic=leg, page_size=2, page_token=token
        )
        counted += len(page.results)
        token = page.next_page_token
        if not token:
            break
    count = await call(
        desk,
        "Count",
        pb.CountRequest(query="x", mode=SEMANTIC, query_vector=vector, semantic=leg),
    )
    assert counted == page.total_size == count.count
    assert 0 < counted < 30


async def test_legs_are_joined_as_asked_for(desk: Desk) -> None:
    """By score or by rank, a result's score must be the sum of what its legs gave, weighted, on every page."""
    library, vector = desk.library, unit(1).tolist()
    await library.add_messages(
        [f"deploy {'deploy later ' * (i % 3)}{i}" for i in range(40)],
        [unit(1, i / 10) for i in range(40)],
        sent_at=START,
    )
    orders = {}
    for fusion in (pb.FUSION_UNSPECIFIED, pb.FUSION_SCORE, pb.FUSION_RANK):
        fields: dict[str, Any] = {
            "query_vector": vector,
            "fusion": fusion,
            "keyword": pb.LegOptions(weight=0.5, limit=20),
            "semantic": pb.LegOptions(score_min=0.4),
            "explain": True,
        }
        whole = await desk.client.search("deploy later unheard", page_size=100, **fields)
        token, paged = "", []
        while True:
            page = await desk.client.search(
                "deploy later unheard", page_size=7, page_token=token, **fields
            )
            paged += list(page.results)
            how, token = page.explanation, page.next_page_token
            if not token:
                break
        assert [each.message.id for each in paged] == [each.message.id for each in whole.results]
        assert how.fusion == (fusion or pb.FUSION_SCORE)
        assert how.semantic_weight == 1
        assert 0 < how.keyword_weight < 0.5
        for each in paged:
            shares = (
                how.semantic_weight * each.semantic.share + how.keyword_weight * each.keyword.share
            )
            assert each.score == pytest.approx(shares)
            assert not each.HasField("semantic") or each.semantic.score >= 0.4
        orders[fusion] = texts(whole)
    assert orders[pb.FUSION_UNSPECIFIED] == orders[pb.FUSION_SCORE] != orders[pb.FUSION_RANK]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("x", fusion=7)  # type: ignore[arg-type]
    assert "fusion" in str(failure.value.details())


@pytest.mark.parametrize("query", ["ZQX-7781", "zqx-7781 booked", "what was it about ZQX-7781?"])
@pytest.mark.parametrize("fusion", [pb.FUSION_SCORE, pb.FUSION_RANK])
async def test_who_names_one_message_gets_it_first(desk: Desk, query: str, fusion: int) -> None:
    """A message that alone has what is asked for must come before what is nearest in meaning and stands beside it."""
    said = ["the payment of march?", "ZQX-7781 was booked twice", "the payment is there again"]
    await desk.library.add_messages(said, [unit(1, 0.1), unit(0, 1), unit(1)])
    await desk.library.add_messages(["what was it about?"] * 40, [unit(0, 0, 1)] * 40)
    fields: dict[str, Any] = {"query_vector": unit(1).tolist(), "fusion": fusion, "explain": True}
    reply = await desk.client.search(query, mode=pb.SEARCH_MODE_HYBRID, **fields)
    assert texts(reply)[0] == said[1]
    weights, first = reply.explanation, reply.results[0]
    shares = (
        weights.semantic_weight * first.semantic.share,
        weights.keyword_weight * first.keyword.share,
    )
    assert first.score == pytest.approx(sum(shares))
    assert weights.keyword_weight > 1


async def test_what_asks_nothing_is_refused(desk: Desk) -> None:
    """Spaces and punctuation must be refused by the name of the field, unless a vector says what to find."""
    await desk.library.add_message("a, b", unit(1))
    among = pb.CountRequest(query="?!")
    refused = [
        ("Search", pb.SearchRequest(query=" "), "query"),
        (
            "Search",
            pb.SearchRequest(query="?", mode=KEYWORD, query_vector=unit(1).tolist()),
            "query",
        ),
        ("Search", pb.SearchRequest(query="...", mode=SEMANTIC), "query"),
        ("Search", pb.SearchRequest(query="& | ! ( ) :* <-> ' \\ ''\n\t"), "query"),
        ("Search", pb.SearchRequest(query='"' * 4096, mode=KEYWORD), "query"),
        ("PackContext", pb.PackContextRequest(query=" - "), "query"),
        ("Count", among, "query"),
        ("Facet", pb.FacetRequest(keys=[pb.FACET_KEY_KIND], among=among), "among.query"),
    ]
    for method, request, field in refused:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(desk, method, request)
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT, method
        assert f"{field}: has no words" in str(failure.value.details())
    assert await desk.client.meaning(unit(1), query="?") == ["a, b"]
    assert texts(await desk.client.search(",", query_vector=unit(1).tolist())) == ["a, b"]


async def test_a_vector_asks_without_words(desk: Desk) -> None:
    """Whoever has only a vector must find, count and pack by it with an empty query, which is refused without one."""
    await desk.library.add_messages(["a, b", "far away"], [unit(1), -unit(1)])
    fields: dict[str, Any] = {
        "mode": SEMANTIC,
        "query_vector": unit(1).tolist(),
        "semantic": pb.LegOptions(score_min=0.5),
    }
    assert texts(await desk.client.search("", **fields)) == ["a, b"]
    among = pb.CountRequest(**fields)
    assert (await call(desk, "Count", among)).count == 1
    facets = pb.FacetRequest(keys=[pb.FACET_KEY_KIND], among=among)
    assert (await call(desk, "Facet", facets)).count == 1
    among.mode = KEYWORD
    assert (await call(desk, "Count", among)).count == 2
    packed = await call(desk, "PackContext", pb.PackContextRequest(query_vector=unit(1).tolist()))
    assert packed.items[0].result.message.text == "a, b"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(desk, "PackContext", pb.PackContextRequest())
    assert failure.value.details() == "query: must not be empty"
    for mode in (SEMANTIC, KEYWORD):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await desk.client.search("", mode=mode)
        assert failure.value.details() == "query: must not be empty"


async def test_what_is_wrong_inside_a_request_is_named_by_its_path(desk: Desk) -> None:
    """A time in a condition of a condition, and a filter within a facet's question, must be told where they stand."""
    inner = pb.FilterExpression()
    inner.sent.before.seconds = NO_TIME
    kinds = pb.FilterExpression(kinds=pb.KindList(values=[types.SUBJECT_KIND_MESSAGE]))
    outer = pb.FilterExpression(any_of=pb.FilterExpressionList(expressions=[kinds, inner]))
    flat = pb.SearchFilter()
    flat.sent_after.seconds = NO_TIME
    path = "filter_expression.any_of.expressions[1].sent.before"
    by_kind = [pb.FACET_KEY_KIND]
    short = pb.CountRequest(query="x", query_vector=[1.0, 0.0])
    turned, empty = pb.SearchFilter(), pb.FilterExpression()
    turned.sent_after.seconds, turned.sent_before.seconds = 2, 1
    empty.sent.after.seconds = empty.sent.before.seconds = 1
    await desk.library.add_message("a", unit(1))
    refused = [
        ("Count", pb.CountRequest(filter_expression=outer), path),
        ("Count", pb.CountRequest(filter=flat), "filter.sent_after"),
        (
            "Facet",
            pb.FacetRequest(keys=by_kind, among=pb.CountRequest(filter_expression=outer)),
            f"among.{path}",
        ),
        (
            "Facet",
            pb.FacetRequest(keys=by_kind, among=pb.CountRequest(filter=flat)),
            "among.filter.sent_after",
        ),
        ("Facet", pb.FacetRequest(keys=by_kind, among=short), "among.query_vector"),
        ("Search", pb.SearchRequest(query="x", filter=turned), "filter.sent_before"),
        (
            "Count",
            pb.CountRequest(filter_expression=empty),
            "filter_expression.sent.before",
        ),
    ]
    for method, request, field in refused:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(desk, method, request)
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (failure.value.details() or "").startswith(f"{field}: "), failure.value.details()


async def test_a_batch_answers_each_alone(desk: Desk) -> None:
    """Each search of a batch must be answered in its place, and one that fails must not fail the others."""
    await desk.library.add_messages(["apple", "pear"])
    requests = [
        pb.SearchRequest(query="apple", mode=KEYWORD),
        pb.SearchRequest(query="x", filter_expression=nest(9)),
        pb.SearchRequest(query=""),
        pb.SearchRequest(query="pear", mode=KEYWORD),
    ]
    reply = await call(desk, "BatchSearch", pb.BatchSearchRequest(requests=requests))
    first, failed, empty, last = reply.results
    assert (texts(first.response), texts(last.response)) == (["apple"], ["pear"])
    assert (failed.error.code, failed.error.reason) == (3, "INVALID_FIELD")
    assert "filter_expression" in failed.error.message
    assert (empty.error.code, empty.error.message) == (3, "query: must not be empty")


async def test_a_defect_of_one_search_ends_the_batch(desk: Desk) -> None:
    """The call must fail with it, and no other of its searches go on for nobody."""
    await desk.library.add_message("slow or broken")
    await desk.library.admin.execute(
        """create or replace function search.count_messages(
               p_workspace uuid, p_terms tsquery[], p_limit int)
             returns table (term int, documents bigint) language plpgsql security definer as $$
           begin
             if p_terms[1]::text ~ 'slow' then
               perform pg_advisory_lock(7), pg_sleep(20);
             end if;
             while pg_try_advisory_lock(7) loop
               perform pg_advisory_unlock(7), pg_sleep(0.01);
             end loop;
             raise division_by_zero;
           end $$"""
    )
    requests = [pb.SearchRequest(query=query, mode=KEYWORD) for query in ("slow", "broken")]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(desk, "BatchSearch", pb.BatchSearchRequest(requests=requests))
    assert failure.value.code() == grpc.StatusCode.INTERNAL
    sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    assert await desk.library.admin.fetchval(sleeping) == 0


async def test_a_leg_that_breaks_costs_only_itself(desk: Desk) -> None:
    """If words cannot be looked up, hybrid must answer by meaning with a warning; words alone must fail."""
    await desk.library.add_message("found by meaning", unit(1))
    await desk.library.admin.execute(
        """create or replace function search.count_messages(
               p_workspace uuid, p_terms tsquery[], p_limit int)
             returns table (term int, documents bigint) language plpgsql security definer as
           $$ begin raise query_canceled; end $$"""
    )
    reply = await desk.client.search("meaning", query_vector=unit(1).tolist())
    assert texts(reply) == ["found by meaning"]
    assert "words could not be looked up" in reply.warnings[0]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("meaning", mode=KEYWORD)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_explain_shows_selectivity_and_terms(desk: Desk) -> None:
    """An explanation must tell rows, selectivity, why the plan, and what each word weighs."""
    await desk.library.add_messages(["one two", "two"], author_external_id="ann")
    await desk.library.add_messages(["three", "four"])
    reply = await desk.client.search(
        "two one",
        query_vector=unit(1).tolist(),
        explain=True,
        kinds=[types.SUBJECT_KIND_MESSAGE],
        filter=pb.SearchFilter(author_external_ids=["ann"]),
    )
    explanation = reply.explanation
    assert (explanation.estimated_rows, explanation.total_rows) == (2, 4)
    assert explanation.selectivity == pytest.approx(0.5)
    assert "5,000" in explanation.plan_reason
    assert [(t.text, t.documents) for t in explanation.terms] == [("one", 1), ("two", 2)]
    assert explanation.total_duration.ToNanoseconds() > 0
