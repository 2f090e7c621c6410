"""The structure of a Telegram export: which chats it holds and the raw rows of each, streamed."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from services.cli.importers.rows import WrongShape, string, whole
from services.cli.importers.telegram_json import Event, build_value, skip_value

TYPE_CHARACTERS_MAX = 64  # it is looked through for every row


@dataclass(frozen=True, slots=True)
class ChatHeader:
    """What an export says of a chat before its messages.

    `account` is who numbers them, if any; `exporter` is whose export it is. Both are empty if that is not known.
    """

    id: int
    name: str
    type: str
    account: str = ""
    exporter: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose account an export is of."""

    id: int


ExportItem = Owner | ChatHeader | dict[str, Any] | None
"""Whose export it is, a chat, one of its rows, or None for a row that is no JSON object."""


def export_items(events: Iterator[Event]) -> Iterator[ExportItem]:
    """Whose an export is, if it says so, and every chat of it, each followed by its rows. Raises WrongShape."""
    if next(events)[0] != "start_map":
        raise WrongShape("not a Telegram export: the file is no JSON object")
    found = yield from _read_chat(events, may_be_account=True)
    if not found:
        raise WrongShape("not a Telegram export: it has neither `messages` nor `chats`")
    for _ in events:  # nothing may follow, and only reading to the end finds out
        continue


def _read_chat(events: Iterator[Event], may_be_account: bool) -> Generator[ExportItem, None, bool]:
    """The rest of an object that may hold messages; returns whether it did."""
    header: dict[str, Any] = {}
    found = False
    for kind, key in events:
        if kind == "end_map":
            return found
        first = next(events)
        if key == "messages" and first[0] == "start_array":
            yield _header(header)
            yield from _read_rows(events)
            found = True
        elif may_be_account and key in ("chats", "left_chats") and first[0] == "start_map":
            yield from _read_chat_list(events)
            found = True
        elif may_be_account and key == "personal_information":
            yield from _read_owner(events, first)
        elif key in ("id", "name", "type"):
            header[key] = build_value(events, first)
        else:
            skip_value(events, first)
    return found


def _read_owner(events: Iterator[Event], first: Event) -> Iterator[Owner]:
    information = build_value(events, first)
    number = information.get("user_id") if isinstance(information, dict) else None
    if whole(number):
        yield Owner(number)


def _read_chat_list(events: Iterator[Event]) -> Iterator[ExportItem]:
    for kind, key in events:
        if kind == "end_map":
            return
        first = next(events)
        if key != "list" or first[0] != "start_array":
            skip_value(events, first)
            continue
        for chat in events:
            if chat[0] == "end_array":
                break
            if chat[0] == "start_map":
                yield from _read_chat(events, may_be_account=False)
            else:
                skip_value(events, chat)


def _read_rows(events: Iterator[Event]) -> Iterator[ExportItem]:
    for first in events:
        if first[0] == "end_array":
            return
        row = build_value(events, first)
        yield row if isinstance(row, dict) else None


def _header(fields: dict[str, Any]) -> ChatHeader:
    number = fields.get("id")
    if not whole(number):
        raise WrongShape(
            "not a Telegram export: a chat has no whole-number `id` before its `messages`"
        )
    return ChatHeader(number, string(fields, "name"), string(fields, "type")[:TYPE_CHARACTERS_MAX])
