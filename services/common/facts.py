"""Facts as events: several, where one would name more than the broker takes in a message."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from winnow.events.v1.events_pb2 import Event

_RANDOM = (1 << 62) - 1


def events(row: Any, bytes_max: int) -> Iterator[Event]:
    """What is to be published for a row of spine.take_events, in order.

    A part has an id of its own, which always stands for the same part of the same fact: whoever gets it twice may drop
    one of them.
    """
    happened_at = Timestamp()
    happened_at.FromDatetime(row["created_at"])
    event = Event(id=str(row["id"]), workspace_id=str(row["workspace_id"]), happened_at=happened_at)
    getattr(event, row["fact"]).MergeFromString(row["payload"])
    yield from _parts(event, row["fact"], bytes_max)


def _parts(event: Event, fact: str, bytes_max: int) -> Iterator[Event]:
    """The event if it fits or names one thing only, or its halves."""
    longest = max(map(len, _named(getattr(event, fact))), default=0)
    if event.ByteSize() <= bytes_max or longest <= 1:
        yield event
        return
    middle = (longest + 1) // 2
    for which, kept in enumerate((slice(None, middle), slice(middle, None))):
        half = Event()
        half.CopyFrom(event)
        half.id = str(_id_of_half(UUID(event.id), which))
        for named in _named(getattr(half, fact)):
            named[:] = named[kept]
        yield from _parts(half, fact, bytes_max)


def _named(fact: Message) -> list[Any]:
    """The lists of ids that a fact has."""
    return [getattr(fact, field.name) for field in fact.DESCRIPTOR.fields if field.is_repeated]


def _id_of_half(whole: UUID, which: int) -> UUID:
    """Another UUIDv7 of the same moment."""
    digest = blake2b(whole.bytes, digest_size=8, salt=bytes([which])).digest()
    return UUID(int=whole.int & ~_RANDOM | int.from_bytes(digest) & _RANDOM)
