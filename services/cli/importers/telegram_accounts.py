"""Whose numbers the messages of a chat have.

Telegram numbers the messages of channels and supergroups per chat, the same for everybody, but those of private chats
and basic groups per account: the same message has another number in each member's export and for each bot. Such a chat
is therefore known by its id and the account, `-55@777`, as far as the account is known.

A supergroup that was a basic group has the messages of that time, too. Exports number them as that account does, less a
thousand million, so that their numbers are negative; such a message is known by its number and the account.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from services.cli.importers.rows import READ_ERRORS, Row, string, whole
from services.cli.importers.telegram_rows import ChatHeader, ExportItem, Owner

UNKNOWN_ACCOUNT = "chats numbered by an account that is not known (--account NAME, given always, keeps each one chat)"
CHANNEL_BASE = (
    1_000_000_000_000  # the Bot API numbers channels and supergroups from here on, below zero
)
TAKEN_OVER_SHIFT = -1_000_000_000  # what a supergroup took over is numbered so much lower
_ROWS_LOOKED_AT_MAX = 1_000


def account_key(chat_id: str, account: str) -> str:
    """The key of a chat whose messages an account numbers; without an account, the chat's id."""
    return f"{chat_id}@{account}" if account else chat_id


def account_of(chat_key: str) -> str:
    """The account in the key of a chat; empty without one."""
    return chat_key.partition("@")[2]


def has_own_numbers(header: ChatHeader) -> bool:
    """Whether the messages of a chat have the same numbers for everybody."""
    return re.search("supergroup|channel", header.type) is not None


def is_taken_over(header: ChatHeader, number: int) -> bool:
    """Whether a message of a chat is from the time when the chat was a basic group."""
    return number < 0 and has_own_numbers(header)


def message_key(header: ChatHeader, number: int) -> str:
    """The key of a message within its chat."""
    return account_key(str(number), header.exporter if is_taken_over(header, number) else "")


def with_accounts(items: Iterable[ExportItem], account: str) -> Iterator[ChatHeader | Row | None]:
    """The chats and rows of an export, each chat with who numbers it: `account` if it is given, else who exported it.

    An export of one chat does not say who that is. In a private chat it is whoever is not the other; its first rows
    are held until one tells.
    """
    held = _Held()
    try:
        for item in items:
            if isinstance(item, Owner):
                account = account or str(item.id)
            elif isinstance(item, ChatHeader):
                yield from held.let_go("")
                chat = replace(item, account=_account(item, account), exporter=account)
                if chat.account or chat.type not in ("personal_chat", "bot_chat"):
                    yield chat
                else:
                    held.chat = chat
            elif held.chat is None:
                yield item
            else:
                held.rows.append(item)
                found = _other(item, held.chat)
                if found or len(held.rows) == _ROWS_LOOKED_AT_MAX:
                    yield from held.let_go(found)
    except READ_ERRORS:
        yield from held.let_go("")
        raise
    yield from held.let_go("")


@dataclass
class _Held:
    """A private chat of which nobody knows yet whose it is, and its rows up to here."""

    chat: ChatHeader | None = None
    rows: list[Row | None] = field(default_factory=list)

    def let_go(self, account: str) -> Iterator[ChatHeader | Row | None]:
        """What is held, if anything is, now that the account is known or will not be."""
        chat, rows = self.chat, self.rows
        self.chat, self.rows = None, []
        if chat is not None:
            yield replace(chat, account=account)
            yield from rows


def _account(header: ChatHeader, given: str) -> str:
    if has_own_numbers(header):
        return ""
    return given or (str(header.id) if header.type == "saved_messages" else "")


def _other(row: Row | None, header: ChatHeader) -> str:
    """Who wrote a row of a private chat, if not the one with whom the chat is; else empty."""
    if row is None:
        return ""
    author = _user(row, "from_id") or _user(row, "actor_id")
    return author if author != str(header.id) else ""


def _user(row: Row, name: str) -> str:
    """The number of a person; old exports give it bare."""
    value = row.get(name)
    number = str(value) if whole(value) else string(row, name).removeprefix("user")
    return number if number.isdecimal() and number.isascii() else ""
