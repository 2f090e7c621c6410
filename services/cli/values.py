"""How the values of the contract are typed and shown: times, and the words for enums."""

from datetime import datetime
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


def set_moment(request: Any, field: str, value: datetime | None) -> None:
    """Set a time of a request, if there is one."""
    if value is not None:
        getattr(request, field).FromDatetime(value)


def word(enum: Any, value: int) -> str:
    """The name of an enum's value as people write it, for example `solution`."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower()


def words(enum: Any) -> list[str]:
    """Every value that a filter may name."""
    return [word(enum, value) for value in enum.values()[1:]]


def number(enum: Any, name: str | None) -> int:
    """The value of a name; the unspecified one for none."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return int(enum.Value(prefix + name.upper())) if name else 0


def moment(time: Timestamp) -> str:
    """A time to the minute in UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M") if time.seconds else ""
