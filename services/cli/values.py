"""How the values of the contract are typed and shown: ids, times, numbers, and the words for enums."""

import math
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource
from google.protobuf.timestamp_pb2 import Timestamp


class _Moment(click.ParamType[datetime]):
    """A time as people and `winnow` itself write it."""

    name = "time"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What help shows for the value."""
        return "YYYY-MM-DD[THH:MM]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time."""
        if isinstance(value, datetime):
            return value
        try:
            return read_moment(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time like {MOMENTS}", param, ctx)


MOMENTS = "2026-03-01 or 2026-03-01T14:30 (UTC)"
_LOOSE = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def read_moment(text: str) -> datetime:
    """A time as ISO 8601 has it, in UTC unless it names another zone; ValueError or OverflowError for anything else."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = _read_loosely(text.strip().removesuffix("Z").replace("T", " "))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _read_loosely(text: str) -> datetime:
    """A time whose months, days and hours may have one digit."""
    for form in _LOOSE:
        with suppress(ValueError):
            return datetime.strptime(text, form)  # noqa: DTZ007 - the contract's times are UTC
    raise ValueError(text)


class Measure(click.FloatRange):
    """A number within bounds; `nan` and `inf` are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Check the number."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return found


class Place(click.Path):
    """A path; one without a letter, as a shell makes of a variable that is not set, is not where the command runs."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # as click has it: whatever `path_type` makes
        """Check the path."""
        if not os.fspath(value):
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class _TelegramAccount(click.ParamType[str]):
    """A name that tells exports or bots of several Telegram accounts apart."""

    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name, which becomes a part of keys; an option that is not given has none."""
        if (value != "" or _is_typed(param, ctx)) and not _ACCOUNT.fullmatch(value):
            self.fail(f"{value!r} is no name of 1 to 64 letters, digits, _, . or -", param, ctx)
        return str(value)


_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TELEGRAM_ACCOUNT = _TelegramAccount()


class _TimeZone(click.ParamType[ZoneInfo]):
    """A time zone of the IANA database."""

    name = "time zone"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What help shows for the value."""
        return "NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        """Find the zone."""
        try:
            return ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            self.fail(f"{value!r} is no time zone like Europe/Kyiv", param, ctx)


TIME_ZONE = _TimeZone()


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
# Versions are counted in 32 bits.
VERSION = click.IntRange(0, 2**31 - 1)


def _is_typed(param: click.Parameter | None, ctx: click.Context | None) -> bool:
    """Whether a value comes from the command line, and not from a default."""
    if param is None or ctx is None or param.name is None:
        return True
    return ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT


def set_moment(request: Any, field: str, value: datetime | None) -> None:
    """Set a time of a request, if there is one."""
    if value is not None:
        getattr(request, field).FromDatetime(value)


def refuse_empty_span(after: datetime | None, before: datetime | None) -> None:
    """Raise UsageError for --after and --before between which there is no time."""
    if after and before and after >= before:
        raise click.UsageError(
            f"--after {after:%Y-%m-%dT%H:%M} is not before --before {before:%Y-%m-%dT%H:%M}"
        )


def word(enum: Any, value: int) -> str:
    """The name of an enum's value as people write it, for example `solution`; its number if a newer release has it."""
    if value not in enum.DESCRIPTOR.values_by_number:
        return str(value)
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower()


def words(enum: Any) -> list[str]:
    """Every value that a filter may name."""
    return [word(enum, value) for value in enum.values()[1:]]


def number(enum: Any, name: str | None) -> int:
    """The value of a name; the unspecified one for none."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return int(enum.Value(prefix + name.upper())) if name else 0


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something, as people write it: `1 atom`, `2,000 atoms`; `many` if that does not just add an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def on_one_line(text: str) -> str:
    """A text without ends of lines: what anybody may call themselves is no line of ours."""
    return " ".join(text.split())


def shortened(text: str, characters_max: int) -> str:
    """A text on one line, cut where it is longer than that."""
    line = on_one_line(text)
    return line if len(line) <= characters_max else line[:characters_max].rstrip() + "…"


def moment(time: Timestamp) -> str:
    """A time to the minute in UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M") if time.seconds else ""
