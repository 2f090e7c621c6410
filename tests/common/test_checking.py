"""Requests against the limits in their protos."""

from dataclasses import dataclass

import protovalidate
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from buf.validate import validate_pb2
from services.common.checking import violations_of
from services.common.rpc import REQUEST_BYTES_MAX
from winnow.embedder.v1 import embedder_pb2
from winnow.extractor.v1 import extractor_pb2
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

VALIDATOR = protovalidate.Validator()
UNKNOWN = "00000000-0000-4000-8000-000000000000"
CONTRACTS = (ingest_pb2, extractor_pb2, embedder_pb2, pipeline_pb2, pb)


@dataclass
class Finding:
    """A validator that finds one violation, whatever it is given."""

    violation: protovalidate.Violation

    def collect_violations(
        self, message: Message, *, fail_fast: bool = False
    ) -> list[protovalidate.Violation]:
        """The one violation."""
        return [self.violation]


def nested(conditions: int) -> pb.SearchRequest:
    """A search under so many conditions, 32 beside each other and a list of lists of them, as the proto allows."""
    request = pb.SearchRequest(query="x")
    top = request.filter_expression.any_of
    for number in range(conditions):
        if number % 32**2 == 0:
            outer = top.expressions.add().any_of
        if number % 32 == 0:
            inner = outer.expressions.add().any_of
        inner.expressions.add().kinds.values.append(types.SUBJECT_KIND_MESSAGE)
    return request


def test_an_empty_field_is_told_in_words() -> None:
    """What must not be empty must be said to be so, and not to be of at least 1 characters."""
    (violation,) = violations_of(VALIDATOR, embedder_pb2.EmbedRequest(text=""))
    assert (violation.field, violation.description) == ("text", "must not be empty")


def test_rules_of_whole_messages_name_a_field() -> None:
    """Each is told under a field of its message, which the first part of its id names."""
    told = 0
    for contract in CONTRACTS:
        for message in contract.DESCRIPTOR.message_types_by_name.values():
            for rule in message.GetOptions().Extensions[validate_pb2.message].cel:
                assert rule.id.split(".")[0] in message.fields_by_name, rule.id
                told += 1
    assert told >= 7


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (ingest_pb2.EraseMessagesRequest(), ["external_ids"]),
        (ingest_pb2.EraseMessagesRequest(external_ids=["1"]), ["source_id"]),
        (ingest_pb2.IngestMessagesRequest(source={"kind": 1, "external_id": "x"}), ["messages"]),
        (
            extractor_pb2.ExtractMessagesRequest(since={"seconds": 2}, until={"seconds": 1}),
            ["until"],
        ),
        (
            extractor_pb2.ExtractMessagesRequest(message_ids=[UNKNOWN], since={"seconds": 1}),
            ["message_ids"],
        ),
        (extractor_pb2.ExtractMessagesRequest(), ["message_ids"]),
        (extractor_pb2.ExtractMessagesRequest(dry_run=True), []),
        (extractor_pb2.ExtractMessagesRequest(all=True), []),
        (extractor_pb2.ExtractMessagesRequest(until={"seconds": 1}), []),
        (extractor_pb2.ExtractMessagesRequest(all=True, source_id=UNKNOWN), ["all"]),
    ],
)
def test_fields_that_do_not_go_together_are_named(request_: Message, fields: list[str]) -> None:
    """A caller who reads BadRequest finds a field of the request, not the name of a rule."""
    assert [violation.field for violation in violations_of(VALIDATOR, request_)] == fields


def test_a_sign_that_nobody_sees_is_named() -> None:
    """NUL must be called what it is: quoted, it is nothing on a terminal."""
    (violation,) = violations_of(VALIDATOR, pb.SearchRequest(query="a\0b"))
    assert (violation.field, violation.description) == ("query", "must not contain NUL")


def test_a_choice_that_was_not_made_is_told_in_words() -> None:
    """What must be chosen must be said to be missing, and not to be in a list of zero."""
    request = pb.FindSimilarRequest(id="01a21a69-d42e-70ce-b63c-d11ad0805df1")
    (violation,) = violations_of(VALIDATOR, request)
    assert (violation.field, violation.description) == ("kind", "must be set")


def test_a_value_that_is_not_defined_is_told_with_its_enum() -> None:
    """Who sends a number that an enum does not have must learn which enum that is, however deep the field stands."""
    request = pb.SearchRequest(query="x", mode=9)  # type: ignore[arg-type]
    request.filter_expression.any_of.expressions.add().labels.values.append(7)  # type: ignore[arg-type]
    told = {each.field: each.description for each in violations_of(VALIDATOR, request)}
    assert told == {
        "mode": "9 is no value of winnow.search.v1.SearchMode",
        "filter_expression.any_of.expressions[0].labels.values[0]": "7 is no value of winnow.types.v1.ImportanceLabel",
    }


def test_the_values_that_are_taken_are_told_by_name() -> None:
    """Where not every value of an enum is taken, those that are must be named, not numbered."""
    request = pb.PackContextRequest(query="x", kinds=[types.SUBJECT_KIND_TOPIC])
    (violation,) = violations_of(VALIDATOR, request)
    assert violation.field == "kinds[0]"
    assert violation.description == "must be one of SUBJECT_KIND_MESSAGE, SUBJECT_KIND_ATOM"


def test_a_choice_between_fields_is_told_with_them() -> None:
    """Where one of several fields must be set they are named, in the words of the contract."""
    request = pb.SearchRequest(query="x", wait_for=pb.WaitFor())
    (violation,) = violations_of(VALIDATOR, request)
    assert violation.field == "wait_for.target"
    assert violation.description == "must be set to one of message_id, accepted_until"


@pytest.mark.parametrize(
    ("rule_id", "rule_value", "told"),
    [
        ("string.min_len", 1, "must not be empty"),
        ("string.min_len", 2, "said otherwise"),
        ("string.uuid_empty", True, "must not be empty"),
        ("required", True, "must be set"),
        ("enum.not_in", [0], "must be set"),
        ("enum.not_in", [0, 3], "said otherwise"),
        ("string.not_contains", "\0", "must not contain NUL"),
        ("string.not_contains", "x", "said otherwise"),
        ("repeated.min_items", 1, "must not be empty"),
        ("repeated.min_items", 2, "said otherwise"),
        ("repeated.unique", True, "must not have anything twice"),
        ("string.in", ["en", "uk"], "must be one of en, uk"),
        ("timestamp.lt", Timestamp(seconds=1), "said otherwise"),
    ],
)
def test_a_rule_is_known_by_its_id(rule_id: str, rule_value: object, told: str) -> None:
    """How the validator words a rule must not decide how people are told of it."""
    found = protovalidate.Violation(
        rule_id=rule_id, rule_value=rule_value, message="said otherwise"
    )
    (violation,) = violations_of(Finding(found), pb.SearchRequest())  # type: ignore[arg-type]
    assert violation.description == told


def test_all_that_is_wrong_with_a_request_is_told() -> None:
    """Whoever made several mistakes in a request must learn of all, however long its texts are."""
    request = pb.SearchRequest(query="x" * 5_000, page_size=101)
    request.filter.source_ids.append("x")
    fields = [violation.field for violation in violations_of(VALIDATOR, request)]
    assert sorted(fields) == ["filter.source_ids[0]", "page_size", "query"]


@pytest.mark.timeout(60)
def test_a_request_full_of_mistakes_is_refused_for_the_first() -> None:
    """However many values of a large request are wrong, refusing it must not take the service long."""
    request = pb.SearchRequest(query="x")
    request.filter.source_ids.extend([""] * (REQUEST_BYTES_MAX // 2 - 100))
    batch = pb.BatchSearchRequest()
    batch.requests.extend([pb.SearchRequest()] * 9_000)
    for each in (request, batch):
        assert len(violations_of(VALIDATOR, each)) == 1


@pytest.mark.timeout(60)
def test_a_request_of_too_many_parts_is_refused() -> None:
    """Conditions in conditions, each list of them within its limit, must not take the service long in their number."""
    (violation,) = violations_of(VALIDATOR, nested(32**3))
    assert violation.description == "the request has more than 10,000 parts"
    assert violations_of(VALIDATOR, nested(4_000)) == []


def test_what_is_checked_one_by_one_is_not_counted() -> None:
    """The messages of a batch, whose spans may be many, are each checked later and refused alone."""
    request = ingest_pb2.IngestMessagesRequest()
    request.source.kind, request.source.external_id = ingest_pb2.SOURCE_KIND_API, "x"
    for _ in range(100):
        request.messages.add().entities.extend([types.Entity(type="bold")] * 1_000)
    assert violations_of(VALIDATOR, request) == []
