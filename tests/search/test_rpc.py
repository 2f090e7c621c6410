"""SearchService as a caller meets it: filters, pages, refusals and what a reply says about itself."""

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.conftest import Deployment
from tests.search.conftest import Desk
from tests.search.library import START, Client, Library, embedder, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

SEMANTIC, KEYWORD, HYBRID = pb.SEARCH_MODE_SEMANTIC, pb.SEARCH_MODE_KEYWORD, pb.SEARCH_MODE_HYBRID


def at(minutes: int) -> Timestamp:
    """A time some minutes after the first message."""
    moment = Timestamp()
    moment.FromDatetime(START + timedelta(minutes=minutes))
    return moment


async def test_hybrid_finds_what_either_leg_finds(desk: Desk) -> None:
    """A hybrid search must return hits of both legs, those of both first, with each leg's place and score."""
    await desk.library.add_message("the deploy is stuck", unit(1, 0.1), thread_id="a")
    await desk.library.add_message("rollout hangs since noon", unit(1, 0.2), thread_id="b")
    await desk.library.add_message("deploy key of the printer", unit(0, 0, 1), thread_id="c")
    response = await desk.client.search("deploy", query_vector=unit(1).tolist())
    assert texts(response)[0] == "the deploy is stuck"
    assert set(texts(response)) == {
        "the deploy is stuck",
        "rollout hangs since noon",
        "deploy key of the printer",
    }
    first = response.results[0]
    assert (first.semantic.rank, first.keyword.rank) == (1, 1)
    assert first.score == pytest.approx(3)
    assert (first.semantic.share, first.keyword.share) == (pytest.approx(1), pytest.approx(1))
    by_text = {result.message.text: result for result in response.results}
    assert not by_text["rollout hangs since noon"].HasField("keyword")
    assert by_text["rollout hangs since noon"].semantic.score == pytest.approx(0.98, abs=0.01)


async def test_weights_shift_the_fusion(desk: Desk) -> None:
    """A leg with a larger weight must decide the order."""
    await desk.library.add_message("alpha", unit(0.1, 1), thread_id="a")
    long = "alpha, then a long story followed through nights, days, winters, summers, towns and villages"
    await desk.library.add_message(long, unit(1), thread_id="b")
    vector = unit(1).tolist()
    for weights, best in ((1, 50), "alpha"), ((50, 1), long):
        response = await desk.client.search(
            "alpha",
            query_vector=vector,
            semantic=pb.LegOptions(weight=weights[0]),
            keyword=pb.LegOptions(weight=weights[1]),
        )
        assert texts(response)[0] == best


async def test_the_embedder_is_asked_in_the_name_of_the_caller(desk: Desk) -> None:
    """A query's vector must come from the embedder, with the caller's own authorization."""
    await desk.library.add_message("x", unit(1))
    assert desk.library.generation
    known = {"where is it": unit(1)}
    async with embedder(desk.deployment, desk.library.generation, known) as service:
        response = await desk.client.search("where is it", mode=SEMANTIC)
    assert texts(response) == ["x"]
    assert response.results[0].score == pytest.approx(1, abs=0.001)
    assert service.asked == [("where is it", f"Bearer {desk.deployment.api_key}")]


@pytest.mark.parametrize("mode", [SEMANTIC, KEYWORD, HYBRID])
async def test_a_ukrainian_query_finds_english_messages(desk: Desk, mode: "pb.SearchMode") -> None:
    """What a query means in English must be searched for as well, by words and by meaning."""
    await desk.library.add_message("the server is down", unit(1), thread_id="a")
    await desk.library.add_message("сніданок о дев'ятій", unit(0, 1), thread_id="b")
    assert desk.library.generation
    known = {"помилка серверів": unit(0, 0.9, 1), "error server": unit(1)}
    async with embedder(desk.deployment, desk.library.generation, known):
        response = await desk.client.search("помилка серверів", mode=mode)
    assert texts(response)[0] == "the server is down"


async def test_without_the_embedder_hybrid_says_so_and_semantic_fails(desk: Desk) -> None:
    """While the embedder is away, hybrid must answer from words with a warning, and semantic must fail."""
    await desk.library.add_message("disk is full", unit(1))
    response = await desk.client.search("disk")
    assert texts(response) == ["disk is full"]
    assert "embedder" in response.warnings[0]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("disk", mode=SEMANTIC)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_without_a_generation_only_semantic_fails(deployment: Deployment) -> None:
    """Before the first vectors exist, semantic must fail with a precondition and hybrid must answer from words."""
    library = await Library(deployment.admin, deployment.workspace).open(dimensions=None)
    await library.add_message("disk is full")
    async with deployment.serving("search") as channel:
        client = Client(channel, deployment.metadata)
        response = await client.search("disk")
        assert texts(response) == ["disk is full"]
        assert "embedded" in response.warnings[0]
        assert response.freshness.pending_embeddings == 1
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await client.search("disk", mode=SEMANTIC)
    assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("vector", [[1.0] * 7, [0.0] * 8, [float("nan")] * 8])
async def test_a_vector_that_cannot_be_compared_is_refused(desk: Desk, vector: list[float]) -> None:
    """A vector of another length, of zeros or not finite must be refused by the name of its field."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search(query_vector=vector)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "query_vector" in str(failure.value.details())


async def test_each_filter_holds_in_both_legs(desk: Desk) -> None:
    """Whatever a filter leaves out must not be found by words or by meaning; the rest must."""
    library, near = desk.library, unit(1)
    other = uuid4()
    await library.add_source(other)
    plain = await library.add_message("wanted", near, author_external_id="ann", thread_id="t")
    signal = await library.add_message("wanted signal", near, importance_label="signal")
    await library.add_message("wanted elsewhere", near, source_id=other)
    topic = await library.add_topic("Topic", [signal])
    await library.add_atom("wanted atom", "of Ann", [plain], near, topic_id=topic, type="risk")
    cases: list[tuple[pb.SearchFilter, set[str]]] = [
        (pb.SearchFilter(source_ids=[str(other)]), {"wanted elsewhere"}),
        (pb.SearchFilter(author_external_ids=["ann"]), {"wanted", "wanted atom"}),
        (pb.SearchFilter(author_external_ids=[""]), {"wanted signal", "wanted elsewhere"}),
        (pb.SearchFilter(thread_ids=["t"]), {"wanted", "wanted atom"}),
        (pb.SearchFilter(topic_ids=[str(topic)]), {"wanted signal", "wanted atom"}),
        (
            pb.SearchFilter(labels=[types.IMPORTANCE_LABEL_SIGNAL]),
            {"wanted signal", "wanted atom"},
        ),
        (
            pb.SearchFilter(atom_types=[types.ATOM_TYPE_IDEA]),
            {"wanted", "wanted signal", "wanted elsewhere"},
        ),
        (pb.SearchFilter(sent_after=at(2)), {"wanted signal", "wanted elsewhere"}),
        (pb.SearchFilter(sent_before=at(2)), {"wanted", "wanted atom"}),
        (pb.SearchFilter(sent_after=at(1), sent_before=at(3)), {"wanted", "wanted signal"}),
        (pb.SearchFilter(author_external_ids=["ann"], thread_ids=["u"]), set()),
    ]
    for chosen, expected in cases:
        assert set(await desk.client.words("wanted", filter=chosen)) == expected, chosen
        assert set(await desk.client.meaning(near, filter=chosen)) == expected, chosen


async def test_what_is_gone_is_never_found(desk: Desk) -> None:
    """Deleted messages, rejected, retired and superseded atoms, and vectors of older text must not be returned."""
    library, near, then = desk.library, unit(1), START
    live = await library.add_message("ghost lives", near)
    await library.add_message("ghost deleted", near, deleted_at=then)
    await library.add_message("no vector of this text", None)
    stale = await library.add_message("edited since", None)
    await library.add_vectors("message", [stale], ["as it was"], [near])
    await library.add_atom("ghost rejected", "", [live], near, approval_state="rejected")
    await library.add_atom("ghost retired", "", [live], near, retired_at=then)
    await library.add_atom("ghost superseded", "", [live], near, valid_to=then)
    await library.add_atom("ghost atom", "", [live], near)
    expected = {"ghost lives", "ghost atom"}
    assert set(await desk.client.words("ghost")) == expected
    assert set(await desk.client.meaning(near)) == expected
    hybrid = await desk.client.search("ghost", query_vector=near.tolist(), page_size=100)
    found = set(texts(hybrid))
    assert expected <= found <= expected | {"no vector of this text", "edited since"}


async def test_an_atom_comes_with_its_grounds(desk: Desk) -> None:
    """An atom must come with its evidence and the messages it cites; a topic with its counts."""
    message = await desk.library.add_message("we pin the version", author_name="Ann")
    topic = await desk.library.add_topic("Pinning versions", [message])
    await desk.library.add_atom("Pin versions", "Always.", [message], topic_id=topic)
    for end in ({"approval_state": "rejected"}, {"valid_to": START}, {"retired_at": START}):
        await desk.library.add_atom("Gone", "", [message], topic_id=topic, **end)
    kinds = [types.SUBJECT_KIND_ATOM, types.SUBJECT_KIND_TOPIC]
    response = await desk.client.search("versions", mode=KEYWORD, kinds=kinds)
    found = {result.kind: result for result in response.results}
    atom = found[types.SUBJECT_KIND_ATOM].atom
    assert atom.topic_title == "Pinning versions"
    assert atom.evidence[0].quote == "we pin the version"
    assert atom.evidence[0].message.author.name == "Ann"
    assert atom.evidence[0].message.importance.factors[0].name == "question"
    assert atom.evidence[0].message.source_title == "A chat"
    topic_found = found[types.SUBJECT_KIND_TOPIC].topic
    # What has ended is counted, too: the topic's list of atoms shows it.
    assert (topic_found.message_count, topic_found.atom_count) == (1, 2)


async def test_kinds_choose_what_is_found(desk: Desk) -> None:
    """Only the kinds asked for must be found, and messages and atoms by default."""
    message = await desk.library.add_message("needle message")
    await desk.library.add_atom("needle atom", "", [message])
    await desk.library.add_topic("needle topic")
    assert set(await desk.client.words("needle")) == {"needle message", "needle atom"}
    for kind, expected in (
        (types.SUBJECT_KIND_MESSAGE, "needle message"),
        (types.SUBJECT_KIND_ATOM, "needle atom"),
        (types.SUBJECT_KIND_TOPIC, "needle topic"),
    ):
        assert await desk.client.words("needle", kinds=[kind]) == [expected]


@pytest.mark.parametrize("mode", [SEMANTIC, KEYWORD, HYBRID])
async def test_pages_together_are_the_whole_ranking(desk: Desk, mode: "pb.SearchMode") -> None:
    """Pages must neither repeat nor leave out a result, and be the ranking that one large page shows."""
    names = [f"page number {i}" for i in range(45)]
    vectors = [unit(1, i / 20) for i in range(45)]
    await desk.library.add_messages(names, vectors)
    fields = {"mode": mode, "query_vector": unit(1).tolist()}
    whole = texts(await desk.client.search("page number", page_size=100, **fields))
    token, pages = "", []
    while True:
        response = await desk.client.search("page number", page_size=7, page_token=token, **fields)
        pages += texts(response)
        token = response.next_page_token
        if not token:
            break
    assert pages == whole
    assert len(set(whole)) == 45


async def test_a_page_token_belongs_to_its_request(desk: Desk) -> None:
    """A token with other fields, or one that nobody made, must be refused."""
    await desk.library.add_messages(["word a", "word b"])
    first = await desk.client.search("word", mode=KEYWORD, page_size=1)
    for query, token in ("other", first.next_page_token), ("word", "AAAA"):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await desk.client.search(query, mode=KEYWORD, page_token=token)
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_legs_have_limits_and_least_scores(desk: Desk) -> None:
    """A leg must give no more candidates than its limit, and none below its least score."""
    await desk.library.add_messages(["a1", "a2", "a3"], [unit(1), unit(1, 1), unit(0, 1)])
    near = unit(1)
    assert await desk.client.meaning(near, semantic=pb.LegOptions(limit=2)) == ["a1", "a2"]
    assert await desk.client.meaning(near, semantic=pb.LegOptions(score_min=0.9)) == ["a1"]
    assert await desk.client.words("a1", keyword=pb.LegOptions(score_min=1000)) == []


async def test_words_of_a_hybrid_search_have_their_limit(desk: Desk) -> None:
    """The keyword leg must give as many candidates as it is asked for, beside the other leg as well."""
    await desk.library.add_messages([f"apple {i}" for i in range(300)], thread_id="t")
    vector, limit = unit(1).tolist(), pb.LegOptions(limit=1000)
    reply = await desk.client.search("apple", query_vector=vector, keyword=limit)
    assert reply.total_size == 300


async def test_the_best_part_of_a_long_text_counts(desk: Desk) -> None:
    """A long message must be found once, by the part that is nearest to the query."""
    long = await desk.library.add_message("long", unit(0, 1))
    await desk.library.add_vectors("message", [long], ["long"], [unit(1)], part=1)
    await desk.library.add_message("short", unit(1, 0.5))
    assert await desk.client.meaning(unit(1)) == ["long", "short"]


async def test_freshness_tells_what_waits(desk: Desk) -> None:
    """A reply must count the embeddings that are still to be made, and say since when."""
    message = await desk.library.add_message("new")
    admin, workspace = desk.library.admin, desk.library.workspace
    await admin.execute(
        "select spine.enqueue_embedding($1, 'message', $2, $3)", workspace, [message], [b"\0" * 32]
    )
    made = await admin.fetchval("select created_at from spine.task")
    response = await desk.client.search("new", mode=KEYWORD)
    assert response.freshness.pending_embeddings == 1
    assert response.freshness.searchable_up_to.seconds == int(made.timestamp())


async def test_explain_tells_how(desk: Desk) -> None:
    """An explanation must name the plan, the rows and the candidates, and be absent unless asked for."""
    await desk.library.add_messages(["one", "two"], [unit(1), unit(0, 1)])
    vector = unit(1).tolist()
    response = await desk.client.search("one", query_vector=vector, explain=True)
    explanation = response.explanation
    assert (explanation.semantic_plan, explanation.estimated_rows) == ("exact", 2)
    assert explanation.semantic_candidates == 2
    assert explanation.keyword_candidates >= 1
    assert explanation.semantic_duration.nanos > 0
    assert not (await desk.client.search("one", query_vector=vector)).HasField("explanation")


async def test_a_caller_without_a_key_is_refused(desk: Desk) -> None:
    """Nobody may search without a valid key."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await Client(desk.client.channel, ()).search("x")
    assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("field", ["query", "kinds", "source_ids", "page_size"])
async def test_limits_name_the_field(desk: Desk, field: str) -> None:
    """A request that breaks a limit must be refused by the name of the field."""
    request = {
        "query": pb.SearchRequest(),
        "kinds": pb.SearchRequest(query="x", kinds=[types.SUBJECT_KIND_UNSPECIFIED]),
        "source_ids": pb.SearchRequest(query="x", filter=pb.SearchFilter(source_ids=["1"])),
        "page_size": pb.SearchRequest(query="x", page_size=101),
    }[field]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.channel.unary_unary(
            "/winnow.search.v1.SearchService/Search",
            request_serializer=pb.SearchRequest.SerializeToString,
            response_deserializer=pb.SearchResponse.FromString,
        )(request, metadata=desk.client.metadata, timeout=60)
    assert field in str(failure.value.details())


async def test_a_message_comes_whole(desk: Desk) -> None:
    """A message must come with its author, spans, files, importance and times, as ingest stored them."""
    await desk.library.add_message(
        "look: code",
        author_external_id="a1",
        author_name="Ann",
        author_is_bot=True,
        thread_id="t",
        reply_to_external_id="9",
        edited_at=START,
        entities='[{"length":4,"offset":6,"type":"code"}]',
        attachments='[{"file_name":"a.png","size_bytes":12,"type":"photo"}]',
        forwarded_from='{"external_id":"user9","name":"Bob","of_a_later_release":1}',
    )
    response = await desk.client.search("code", mode=KEYWORD)
    message = response.results[0].message
    assert (message.author.external_id, message.author.name) == ("a1", "Ann")
    assert message.author.is_bot
    assert (message.thread_id, message.reply_to_external_id) == ("t", "9")
    assert message.entities == [types.Entity(type="code", offset=6, length=4)]
    assert message.attachments[0].size_bytes == 12
    assert message.forwarded_from == types.ForwardOrigin(external_id="user9", name="Bob")
    assert [factor.name for factor in message.importance.factors] == ["question", "short"]
    assert message.importance.label == types.IMPORTANCE_LABEL_WEAK
    assert message.edited_at.seconds == int(START.timestamp())
    assert not message.HasField("deleted_at")
    assert message.received_at.seconds
