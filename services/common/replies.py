"""How much a reply holds: what every gRPC client takes unless it is told otherwise, with some room to spare."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from services.common.errors import FieldViolation, InvalidFields
from winnow.types.v1 import types_pb2 as types

REPLY_BYTES_MAX: Final = 7 << 19
"""Clients take 4 MiB."""
REPLY_MAX: Final = "3.5 MiB"
EVIDENCE_BYTES_MAX: Final = 1 << 20
_FRAMING_BYTES: Final = 4

Part = TypeVar("Part", bound=Message)
Reply = TypeVar("Reply", bound=Message)


class Space:
    """What a reply can still hold."""

    def __init__(self, size_bytes: int = REPLY_BYTES_MAX) -> None:
        self.left_bytes = size_bytes

    def holds(self, part: Message) -> bool:
        """Whether a part fits; then it takes its place."""
        size = part.ByteSize() + _FRAMING_BYTES
        if size > self.left_bytes:
            return False
        self.left_bytes -= size
        return True


def page(rows: Sequence[Any], size: int, render: Callable[[Any], Part]) -> tuple[list[Part], Any]:
    """The parts of a page of `size` rows that a reply can hold, at least one, and the row after which others may come.

    That is None if all the rows are shown and were fewer than asked for.
    """
    space, parts = Space(), list[Part]()
    for row in rows:
        part = render(row)
        fits = space.holds(part)
        if fits or not parts:
            parts.append(part)
        if not fits:
            break
    is_last = len(parts) == len(rows) < size
    return parts, None if is_last or not parts else rows[len(parts) - 1]


def fit_evidence(atom: types.Atom, size_bytes: int = EVIDENCE_BYTES_MAX) -> None:
    """Take out of the evidence of an atom what makes it too large: messages before quotes, the last ones first.

    The ids of messages stay, by which they can be read.
    """
    if atom.ByteSize() <= size_bytes:
        return
    parts = (("quote", _quote_bytes), ("message", _message_bytes))
    left = size_bytes - atom.ByteSize()
    left += sum(size_of(each) for each in atom.evidence for _, size_of in parts)
    for field, size_of in parts:
        for each in atom.evidence:
            if (size := size_of(each)) > left:
                each.ClearField(field)  # type: ignore[arg-type]
            else:
                left -= size


def _quote_bytes(evidence: types.Evidence) -> int:
    return len(evidence.quote.encode()) + _FRAMING_BYTES


def _message_bytes(evidence: types.Evidence) -> int:
    return evidence.message.ByteSize() + _FRAMING_BYTES if evidence.HasField("message") else 0


def sendable(reply: Reply, field: str) -> Reply:
    """A reply that a client can take. Raises InvalidFields by the field that asked for more, if there is one."""
    if reply.ByteSize() > REPLY_BYTES_MAX:
        description = f"the reply would be larger than {REPLY_MAX}: ask for less at once"
        raise InvalidFields(FieldViolation(field, description))
    return reply
