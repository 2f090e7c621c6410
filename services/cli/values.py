"""How the values of the contract are typed and shown: ids, times, and the words for enums."""

from datetime import datetime
from typing import Any
from uuid import UUID

import click
from click.core import ParameterSource
from google.protobuf.timestamp_pb2 import Timestamp


class _Moment(click.ParamType[datetime]):
    """A time in UTC as people and `winnow` itself write it."""

    name = "time"
    _FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What help shows for the value."""
        return "YYYY-MM-DD[THH:MM]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time."""
        if isinstance(value, datetime):
            return value
        text = value.strip().removesuffix("Z").replace("T", " ")
        read = (_read(text, form) for form in self._FORMATS)
        found = next((moment for moment in read if moment), None)
        return found or self.fail(
            f"{value!r} is no time like 2026-03-01 or 2026-03-01T14:30 (UTC)", param, ctx
        )


def _read(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the contract's times are UTC
    except ValueError:
        return None


class _Id(click.ParamType[str]):
    """An id that Winnow made; an option that is not given has none."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the id, which may be written in any way that a UUID is."""
        if value == "" and not _is_typed(param, ctx):
            return ""
        try:
            return str(UUID(value))
        except ValueError:
            self.fail(f"{value!r} is no id, which looks like {_ID_EXAMPLE}", param, ctx)


_ID_EXAMPLE = "01a21a69-d42e-70ce-b63c-d11ad0805df1"
MOMENT, ID = _Moment(), _Id()


def _is_typed(param: click.Parameter | None, ctx: click.Context | None) -> bool:
    """Whether a value comes from the command line, and not from a default."""
    if param is None or ctx is None or param.name is None:
        return True
    return ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT


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
