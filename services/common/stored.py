"""Parts of messages as they are stored: JSON objects whose keys are the names of fields."""

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

Part = TypeVar("Part", bound=Message)


def part_of(kind: type[Part], stored: Mapping[str, Any]) -> Part:
    """Make a part of what is stored of it; what a later release has stored besides is left out."""
    known = kind.DESCRIPTOR.fields_by_name
    return kind(**{name: value for name, value in stored.items() if name in known})
