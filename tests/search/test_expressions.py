"""What a filter and an expression let through."""

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.search import keyword, lookup
from tests.search.asking import ALL_KINDS, KEYWORD, all_of, by, nest
from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types


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
        (any_of(by("bob"), all_of(by("ann"), in_language("uk"))), {two, three, said}),
        (
            any_of(pb.FilterExpression(topic_ids=pb.IdList(values=[str(topic)])), by("bob")),
            {two, said},
        ),
    ]
    for expression, expected in cases:
        chosen = {"filter_expression": expression, "kinds": ALL_KINDS}
        assert set(await desk.client.words("wanted", **chosen)) == expected, expression
        assert set(await desk.client.meaning(near, **chosen)) == expected, expression
        hybrid = await desk.client.search("wanted", query_vector=near.tolist(), **chosen)
        assert set(texts(hybrid)) == expected, expression


async def test_authors_and_threads_are_of_one_message(desk: Desk) -> None:
    """A filter of several attributes of messages must be satisfied by one of an atom's or a topic's, not by two."""
    library, near = desk.library, unit(1)
    here = await library.add_message("wanted", near, author_external_id="ann", thread_id="t")
    there = await library.add_message("there", near, author_external_id="bob", thread_id="u")
    await library.add_atom("wanted atom", "", [here, there], near)
    topic = await library.add_topic("wanted topic", [here, there])
    await library.add_vectors("topic", [topic], ["wanted topic"], [near])
    after = Timestamp()
    after.FromDatetime(START + timedelta(minutes=2))
    every, atom, said = {"wanted", "wanted atom", "wanted topic"}, {"wanted atom"}, {"wanted topic"}
    cases: list[tuple[pb.SearchFilter, set[str]]] = [
        (pb.SearchFilter(author_external_ids=["ann"], thread_ids=["t"]), every),
        (pb.SearchFilter(author_external_ids=["ann"], thread_ids=["u"]), set()),
        (pb.SearchFilter(author_external_ids=["ann"], sent_before=after), every),
        (pb.SearchFilter(author_external_ids=["bob"], sent_before=after), atom),
        (pb.SearchFilter(thread_ids=["u"], sent_after=after), said | {"there"}),
    ]
    for chosen, expected in cases:
        asked = {"filter": chosen, "kinds": ALL_KINDS}
        assert set(await desk.client.meaning(near, **asked)) == expected, chosen
        assert set(await desk.client.words("wanted", **asked)) == expected - {"there"}, chosen


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


async def test_whoever_asks_for_rejected_atoms_is_told_where_they_are(desk: Desk) -> None:
    """Search never finds them, says so by the field in words, and names the call that lists them."""
    states = [types.APPROVAL_STATE_REJECTED]
    expression = pb.FilterExpression(approval_states=pb.ApprovalStateList(values=states))
    for field, fields in (
        ("filter.approval_states[0]", {"filter": pb.SearchFilter(approval_states=states)}),
        ("filter_expression.approval_states.values[0]", {"filter_expression": expression}),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.client.words("wanted", **fields)
        told = f"{field}: rejected atoms are never found; ListAtoms lists them"
        assert refused.value.details() == told


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


@pytest.mark.parametrize("query", ["wanted", 'wanted "wanted too"', "wanted -nothing"])
async def test_a_word_that_is_everywhere_is_found_where_it_is_wanted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """Where not all that has a word is looked at, what an expression leaves of it must be found all the same."""
    monkeypatch.setattr(keyword, "SCANNED_MAX", 50)
    for module in (keyword, lookup):
        monkeypatch.setattr(module, "TERM_DOCUMENTS_MAX", 50)
    library = desk.library
    await library.add_messages([f"wanted elsewhere {i}" for i in range(100)])
    last = await library.add_messages(["wanted too"] * 10, author_external_id="ann")
    reply = await desk.client.search(query, mode=KEYWORD, filter_expression=by("ann"), page_size=20)
    assert sorted(result.message.id for result in reply.results) == [str(each) for each in last]
