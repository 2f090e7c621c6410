"""Messages that need not be shown to the validator."""

from typing import Any

import protovalidate
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.checking import violations_of
from services.ingest.plainness import is_plain, letters_max
from services.ingest.reading import Rejected, read_message
from tests.ingest.conftest import message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

FIRST, END, BILLION = -2_208_988_800, 4_102_444_800, 1_000_000_000
VALIDATOR = protovalidate.Validator()


def texts(most: int) -> list[str]:
    """Texts of one letter, about as long as they may be in letters or in bytes, and some with a NUL."""
    lengths = [0, 1, most // 4, most // 4 + 1, most // 2, most, most + 1]
    return ["\0", "a\0", *(letter * length for letter in "aй😀" for length in lengths)]


MOMENTS = [
    None,
    *(
        Timestamp(seconds=seconds, nanos=nanos)
        for seconds in (FIRST - 1, FIRST, -1, 0, 1, END - 1, END, 1 << 40)
        for nanos in (-1, 0, 1, BILLION - 1, BILLION)
    ),
]
FIELDS: dict[str, list[Any]] = {
    "external_id": texts(256),
    "thread_id": texts(256),
    "reply_to_external_id": texts(256),
    "author": [types.Author(external_id=key) for key in texts(256)]
    + [types.Author(name=name) for name in texts(512)],
    "text": texts(16_384),
    "sent_at": MOMENTS,
}


def plain(each: pb.MessageInput) -> bool:
    """Whether a message is plain."""
    author, sent_at = each.author, each.sent_at
    names = (each.external_id, each.thread_id, each.reply_to_external_id, author.external_id)
    return is_plain(names, author.name, each.text, sent_at.seconds, sent_at.nanos)


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_plain_breaks_no_rule(field: str) -> None:
    """Whatever passes for plain passes the validator too; the rest is rejected exactly when that says so."""
    for value in FIELDS[field]:
        sent = message(1, **{field: value})
        is_valid = not violations_of(VALIDATOR, sent) and 0 <= sent.sent_at.nanos < BILLION
        assert is_valid or not plain(sent), value
        assert isinstance(read_message(VALIDATOR, sent), Rejected) == (not is_valid), value


def test_most_messages_are_plain() -> None:
    """A text of 4,096 letters of any language is plain; so is a key of 64 and a name of 128."""
    author = types.Author(external_id="😀" * 64, name="й" * 128)
    longest = message(1, "й" * 4096, external_id="9" * 64, author=author)
    assert plain(longest)
    assert not plain(message(1, "a" * 4097))
    assert not plain(pb.MessageInput(external_id="1"))


def test_a_rule_that_is_not_known_here_is_told() -> None:
    """Who asks more of a text in the proto learns at the start that it would not be looked at."""
    with pytest.raises(ValueError, match="SourceRef"):
        letters_max(pb.SourceRef.DESCRIPTOR, "kind")
