"""Which messages are plainly within the limits of the contract, told from what is read of them anyway; most are.

The validator asks every rule of every field, which costs more than all else about reading a message. The
limits here come from the same rules and are narrower, so that it need not be asked about what passes them.
"""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from buf.validate import validate_pb2
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

_LETTER_BYTES_MAX: Final = 4


def _rules_of(message: Descriptor, name: str, known: set[str]) -> Any:
    """The rules of a field in the proto; raises ValueError if there are others than are known here."""
    [(kind, rules)] = [
        (field.name, rules)
        for field, rules in message.fields_by_name[name]
        .GetOptions()
        .Extensions[validate_pb2.field]
        .ListFields()
        if field.name != "required"
    ]
    if not {field.name for field, _ in rules.ListFields()} <= known:
        raise ValueError(f"{message.name}.{name} has rules of its {kind} that are not known here")
    return rules


def letters_max(message: Descriptor, name: str) -> int:
    """How many characters keep a text within its limit of bytes, whichever they are."""
    rules = _rules_of(message, name, {"min_len", "max_bytes", "not_contains"})
    return int(rules.max_bytes) // _LETTER_BYTES_MAX


_INPUT, _AUTHOR = pb.MessageInput.DESCRIPTOR, types.Author.DESCRIPTOR
_KEY_MAX = min(
    letters_max(message, name)
    for message, name in (
        *((_INPUT, name) for name in ("external_id", "thread_id", "reply_to_external_id")),
        (_AUTHOR, "external_id"),
    )
)
_NAME_MAX, _TEXT_MAX = letters_max(_AUTHOR, "name"), letters_max(_INPUT, "text")
_SENT = _rules_of(_INPUT, "sent_at", {"gte", "lt"})
_SENT_MIN, _SENT_END = int(_SENT.gte.seconds), int(_SENT.lt.seconds)
_SECOND = 1_000_000_000


def is_plain(
    keys: tuple[str, str, str, str], name: str, text: str, seconds: int, nanos: int
) -> bool:
    """Whether nothing can be wrong with a message that was not edited or forwarded and has no spans or files.

    `keys` are its own, its thread's, the one it replies to and its author's. A time of 0 may be one that is missing.
    """
    own, thread, reply, author = keys
    return (
        0 < len(own) <= _KEY_MAX
        and len(thread) <= _KEY_MAX
        and len(reply) <= _KEY_MAX
        and len(author) <= _KEY_MAX
        and len(name) <= _NAME_MAX
        and len(text) <= _TEXT_MAX
        and seconds != 0
        and _SENT_MIN <= seconds < _SENT_END
        and 0 <= nanos < _SECOND
        and "\0" not in f"{own}{thread}{reply}{author}{name}{text}"
    )
