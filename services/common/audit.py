"""The record of what was done with an admin's rights: begun before it is done, completed by what came of it."""

import json
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from services.common.auth import Caller
from services.common.database import Database
from services.common.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

ITEMS_MAX = 20
_READS = ("Get", "List")


def is_recorded(method: str, scope: str) -> bool:
    """Tell whether calls of `/package.Service/Method` are recorded: all that change what others rely on."""
    return scope in ("admin", "operate") and not method.rpartition("/")[2].startswith(_READS)


class AuditLog:
    """Writes to the record of the caller's workspace; nothing of it can be changed or removed through a service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, caller: Caller, peer: str, method: str, request: Message) -> UUID:
        """Record that a call begins; a call that cannot be recorded is not made."""
        arguments = (caller.workspace, caller.key_id, peer, method.lstrip("/"))
        asked = json.dumps(summary(request))
        async with self._database.transaction(caller.workspace) as connection:
            entry: UUID = await connection.fetchval(
                "select spine.note_action($1, $2, $3, $4, $5)", *arguments, asked
            )
        return entry

    async def end(self, caller: Caller, entry: UUID, outcome: str) -> None:
        """Record what came of it; if that fails, the entry says that nobody knows."""
        try:
            async with self._database.transaction(caller.workspace) as connection:
                await connection.execute(
                    "select spine.end_action($1, $2, $3)", caller.workspace, entry, outcome
                )
        except DatabaseUnavailable as error:
            log.warning("audit: the outcome %s of %s was not recorded: %s", outcome, entry, error)


def summary(message: Message) -> dict[str, Any]:
    """What a request asks, without any text that a person wrote: of that, only how long it is."""
    return {field.name: _shown(field, value) for field, value in message.ListFields()}


def _shown(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        items = [_one(field, item) for item in list(value)[:ITEMS_MAX]]
        return items if len(items) == len(value) else [*items, f"and {len(value) - ITEMS_MAX} more"]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return summary(value) if isinstance(value, Message) else "…"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if isinstance(value, str):
        is_shown = _is_id(value) or value in _choices(field)
        return value if is_shown else f"{len(value)} characters"
    return f"{len(value)} bytes" if isinstance(value, bytes) else value


def _choices(field: FieldDescriptor) -> Sequence[str]:
    """The texts that the contract allows in a field, if it lists them: no person wrote one of them."""
    rules: Any = field.GetOptions().Extensions[validate_pb2.field]
    listed: Sequence[str] = getattr(rules.string, "in")
    return listed


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
