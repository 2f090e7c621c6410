"""What one call of the query API can ask: expressions, pages, thresholds, batches, and waiting for a write."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.search.asking import ALL_KINDS, KEYWORD, SEMANTIC, by, call
from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types


def all_of(*parts: pb.FilterExpression) -> pb.FilterExpression:
    """And."""
    return pb.FilterExpression(all_of=pb.FilterExpressionList(expressions=parts))


def any_of(*parts: pb.FilterExpression) -> pb.FilterExpression:
    """Or."""
    return pb.FilterExpression(any_of=pb.FilterExpressionList(expressions=parts))


def none_of(*parts: pb.FilterExpression) -> pb.FilterExpression:
    """Not."""
    return pb.FilterExpression(none_of=pb.FilterExpressionList(expressions=parts))


def labelled(*labels: "types.ImportanceLabel.ValueType") -> pb.FilterExpression:
    """With some labels."""
    return pb.FilterExpression(labels=pb.LabelList(values=labels))


def in_language(*languages: str) -> pb.FilterExpression:
    """In some languages."""
    return pb.FilterExpression(languages=pb.LanguageList(values=languages))


async def test_every_condition_holds_in_both_legs(desk: Desk) -> None:
    """Each attribute, and and, or and not over them, must leave the same results by words and by meaning."""
    library, near = desk.library, unit(1)
    other = uuid4()
    await library.add_source(other)
    a = await library.add_message("wanted one", near, author_external_id="ann", thread_id="t")
    b = await library.add_message(
        "wanted two is here", near, author_external_id="bob", importance_label="signal"
    )
    await library.add_message("wanted, що це", near, source_id=other, author_external_id="ann")
    topic = await library.add_topic("wanted topic", [b])
    await library.add_vectors("topic", [topic], ["wanted topic"], [near])
    await library.add_atom("wanted atom", "", [a], near, type="risk", approval_state="approved")
    one, two, three = "wanted one", "wanted two is here", "wanted, що це"
    atom, said = "wanted atom", "wanted topic"
    after = Timestamp()
    after.FromDatetime(START + timedelta(minutes=2))
    risk = pb.FilterExpression(atom_types=pb.AtomTypeList(values=[types.ATOM_TYPE_RISK]))
    cases: list[tuple[pb.FilterExpression, set[str]]] = [
        (by("ann"), {one, three, atom}),
        (none_of(by("ann")), {two, said}),
        (all_of(by("ann"), none_of(in_language("uk"))), {one, atom}),
        (any_of(labelled(types.IMPORTANCE_LABEL_SIGNAL), risk), {two, atom}),
        (none_of(risk), {one, two, three, said}),
        (in_language("uk"), {three}),
        (in_language("en"), {two}),
        (pb.FilterExpression(source_ids=pb.IdList(values=[str(other)])), {three}),
        (pb.FilterExpression(thread_ids=pb.TextList(values=["t"])), {one, atom}),
        (pb.FilterExpression(topic_ids=pb.IdList(values=[str(topic)])), {two, said}),
        (pb.FilterExpression(sent=pb.TimeRange(after=after)), {two, three, said}),
        (pb.FilterExpression(sent=pb.TimeRange(before=after)), {one, atom}),
        (
            pb.FilterExpression(
                approval_states=pb.ApprovalStateList(values=[types.APPROVAL_STATE_APPROVED])
            ),
            {atom},
        ),
        (pb.FilterExpression(kinds=pb.KindList(values=[types.SUBJECT_KIND_TOPIC])), {said}),
        (
            none_of(any_of(by("bob"), all_of(by("ann"), in_language("und")))),
            {three},
        ),
    ]
    for expression, expected in cases:
        chosen = {"filter_expression": expression, "kinds": ALL_KINDS}
        assert set(await desk.client.words("wanted", **chosen)) == expected, expression
        assert set(await desk.client.meaning(near, **chosen)) == expected, expression
        hybrid = await desk.client.search("wanted", query_vector=near.tolist(), **chosen)
        assert set(texts(hybrid)) == expected, expression


async def test_what_was_merged_is_of_either_source(desk: Desk) -> None:
    """An atom that another source's was merged into, and a topic of both, must satisfy a condition on either source."""
    library, near, other = desk.library, unit(1), uuid4()
    await library.add_source(other)
    here = await library.add_message("wanted", near)
    there = await library.add_message("wanted there", near, source_id=other)
    merged = await library.add_atom("merged", "", [there], retired_at=START)
    atom = await library.add_atom("wanted atom", "", [here], near)
    await library.admin.execute(
        """insert into extractor.atom_evidence
             (workspace_id, atom_id, message_id, position, quote, quote_offset, via_atom_id)
           values ($1, $2, $3, 1, 'wanted', 0, $4)""",
        library.workspace,
        atom,
        there,
        merged,
    )
    topic = await library.add_topic("wanted topic", [here, there])
    await library.add_vectors("topic", [topic], ["wanted topic"], [near])
    both = {"wanted atom", "wanted topic"}
    for source, message in ((library.source, "wanted"), (other, "wanted there")):
        flat = pb.SearchFilter(source_ids=[str(source)])
        condition = pb.FilterExpression(source_ids=pb.IdList(values=[str(source)]))
        for chosen in ({"filter": flat}, {"filter_expression": condition}):
            assert set(await desk.client.words("wanted", kinds=ALL_KINDS, **chosen)) == both | {
                message
            }
            assert set(await desk.client.meaning(near, kinds=ALL_KINDS, **chosen)) == both | {
                message
            }
        apart = {"kinds": ALL_KINDS, "filter_expression": none_of(condition)}
        assert not both & set(await desk.client.words("wanted", **apart))


async def test_the_flat_filter_knows_languages_and_approval(desk: Desk) -> None:
    """States of approval must leave messages alone, languages must not, and both must join an expression."""
    library, near = desk.library, unit(1)
    message = await library.add_message("this is wanted", near, author_external_id="ann")
    await library.add_message("це треба wanted слово", near)
    await library.add_atom("wanted and approved", "", [message], near, approval_state="approved")
    await library.add_atom("wanted and proposed", "", [message], near)
    approved = pb.SearchFilter(approval_states=[types.APPROVAL_STATE_APPROVED])
    assert set(await desk.client.words("wanted", filter=approved)) == {
        "this is wanted",
        "це треба wanted слово",
        "wanted and approved",
    }
    both = {"filter": pb.SearchFilter(languages=["en"]), "filter_expression": by("ann")}
    found = set(await desk.client.words("wanted", kinds=[types.SUBJECT_KIND_MESSAGE], **both))
    assert found == {"this is wanted"}


def nest(depth: int) -> pb.FilterExpression:
    """An expression of some levels."""
    expression = by("ann")
    for _ in range(depth - 1):
        expression = all_of(expression)
    return expression


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (nest(9), "8 levels"),
        (any_of(*[any_of(*[by(f"a{i}") for i in range(32)]) for _ in range(3)]), "64 conditions"),
        (pb.FilterExpression(), "filter_expression"),
        (all_of(), "filter_expression.all_of"),
        (in_language("xx"), "languages"),
    ],
)
async def test_expressions_have_limits(
    desk: Desk, expression: pb.FilterExpression, named: str
) -> None:
    """What is too deep, too large or empty must be refused by the name of the field."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("x", filter_expression=expression)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert named in str(failure.value.details())


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
        if mode == SEMANTIC:
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


def seconds(value: float) -> Duration:
    """A duration."""
    duration = Duration()
    duration.FromMilliseconds(int(value * 1000))
    return duration


async def test_a_caller_can_wait_for_its_own_write(desk: Desk) -> None:
    """A search that waits for a message must answer once it has its vector, and not find it missing."""
    message = await desk.library.add_message("just written")
    wait = pb.WaitFor(message_id=str(message), timeout=seconds(20))
    waiting = asyncio.create_task(
        desk.client.search(mode=SEMANTIC, query_vector=unit(1).tolist(), wait_for=wait)
    )
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await desk.library.add_vectors("message", [message], ["just written"], [unit(1)])
    reply = await waiting
    assert texts(reply) == ["just written"]
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_REACHED


async def test_waiting_ends(desk: Desk) -> None:
    """Waiting must end at its timeout, at once when the work is dead, and be refused for an unknown message."""
    message = await desk.library.add_message("never", unit(0, 1))
    await desk.library.admin.execute("delete from embedder.vector")
    hashes = await desk.library.admin.fetchval("select text_sha256 from ingest.message")
    await desk.library.admin.execute(
        "select spine.enqueue_embedding($1, 'message', $2, $3)",
        desk.library.workspace,
        [message],
        [hashes],
    )
    wait = pb.WaitFor(message_id=str(message), timeout=seconds(0.1))
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=wait)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_TIMED_OUT
    assert (reply.freshness.pending_embeddings, reply.freshness.dead_embeddings) == (1, 0)
    until = Timestamp()
    until.GetCurrentTime()
    watermark = pb.WaitFor(accepted_until=until, timeout=seconds(0.1))
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=watermark)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_TIMED_OUT
    await desk.library.admin.execute("update spine.task set state = 'dead', hint_at = null")
    for dead in (
        pb.WaitFor(message_id=str(message), timeout=seconds(30)),
        pb.WaitFor(accepted_until=until, timeout=seconds(30)),
    ):
        reply = await desk.client.search("never", mode=KEYWORD, wait_for=dead)
        assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_DEAD
        assert reply.freshness.dead_embeddings == 1
    await desk.library.admin.execute("update spine.task set state = 'done'")
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=watermark)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_REACHED
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("x", wait_for=pb.WaitFor(message_id=str(uuid4())))
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_leg_that_breaks_costs_only_itself(desk: Desk) -> None:
    """If words cannot be looked up, hybrid must answer by meaning with a warning; words alone must fail."""
    await desk.library.add_message("found by meaning", unit(1))
    await desk.library.admin.execute(
        """create or replace function search.count_documents(p_kinds text[], p_terms tsquery[], p_limit int)
             returns table (kind text, term int, documents bigint) language plpgsql security definer as
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
