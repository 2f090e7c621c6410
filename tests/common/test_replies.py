"""What a reply holds."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from services.common.errors import InvalidFields
from services.common.replies import (
    EVIDENCE_BYTES_MAX,
    REPLY_BYTES_MAX,
    fit_evidence,
    page,
    sendable,
)
from winnow.extractor.v1 import extractor_pb2 as extractor
from winnow.types.v1 import types_pb2 as types

CLIENT_BYTES_MAX = 4 << 20


@dataclass(frozen=True)
class Row:
    """A row with a text of some length."""

    number: int
    length: int


def render(row: Row) -> types.Message:
    """A message of about the length."""
    return types.Message(id=str(row.number), text="x" * row.length)


@pytest.mark.parametrize(
    ("lengths", "size", "shown", "last"),
    [
        ([], 3, 0, None),
        ([1, 1], 3, 2, None),
        ([1, 1, 1], 3, 3, 2),
        ([REPLY_BYTES_MAX // 2] * 3, 3, 1, 0),
        ([REPLY_BYTES_MAX // 3, REPLY_BYTES_MAX // 3, REPLY_BYTES_MAX], 500, 2, 1),
        ([2 * REPLY_BYTES_MAX, 1], 500, 1, 0),
        ([2 * REPLY_BYTES_MAX], 500, 1, None),
    ],
)
def test_a_page_ends_where_a_reply_does(
    lengths: list[int], size: int, shown: int, last: int | None
) -> None:
    """A page has what fits, something in any case, and says after which row others come."""
    rows = [Row(number, length) for number, length in enumerate(lengths)]
    parts, after = page(rows, size, render)
    assert [each.id for each in parts] == [str(row.number) for row in rows[:shown]]
    assert (after.number if after else None) == last


def grounded(count: int, quote: int, text: int) -> types.Atom:
    """An atom with so many pieces of evidence, of quotes and messages so long."""
    evidence = types.Evidence(message_id=str(UUID(int=1)), quote="q" * quote)
    if text:
        evidence.message.text = "t" * text
    return types.Atom(evidence=[evidence] * count)


@pytest.mark.parametrize(
    ("count", "quote", "text", "quotes", "messages"),
    [
        (10, 100, 1000, 10, 10),
        (100, 100, 16384, 100, 63),
        (100, 16384, 16384, 63, 0),
        (100, 16384, 0, 63, 0),
    ],
)
def test_evidence_keeps_quotes_before_messages(
    count: int, quote: int, text: int, quotes: int, messages: int
) -> None:
    """What is too large loses messages, then quotes, the last first; whose words they are can still be read."""
    atom = grounded(count, quote, text)
    fit_evidence(atom)
    assert len(atom.evidence) == count
    assert sum(bool(each.quote) for each in atom.evidence) == pytest.approx(quotes, abs=2)
    assert sum(each.HasField("message") for each in atom.evidence) == pytest.approx(messages, abs=2)
    shown = [bool(each.quote) for each in atom.evidence]
    assert shown == sorted(shown, reverse=True)
    assert atom.ByteSize() < EVIDENCE_BYTES_MAX * 1.01


def test_what_no_client_takes_is_refused_by_its_field() -> None:
    """Where nothing can be left out the caller is told which field to ask less by."""
    fitting = extractor.ListAtomsResponse(next_page_token="x" * 1_000_000)
    assert sendable(fitting, "page_size") is fitting
    with pytest.raises(InvalidFields, match=r"page_size: the reply would be larger than 3.5 MiB"):
        sendable(extractor.ListAtomsResponse(next_page_token="x" * CLIENT_BYTES_MAX), "page_size")
