"""What the calls of ExtractorService share: values of a request, who asks, and atoms in full."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.common.errors import FieldViolation, InvalidFields, NotFound
from services.common.moments import read_moment
from services.common.rpc import current_caller, request_sha256
from services.extractor import library, rendering
from services.extractor.review import Reviewer
from winnow.types.v1 import types_pb2 as types


def uuid_of(text: str) -> UUID | None:
    """An id; None for the empty text."""
    return UUID(text) if text else None


def ids_of(texts: Iterable[str]) -> list[UUID]:
    """Ids in the order given, each once: one id can be spelt in two ways."""
    return list(dict.fromkeys(map(UUID, texts)))


def said(field: str, text: str) -> str:
    """A text, which may be empty; InvalidFields by its field if it is nothing but spaces."""
    if text.isspace():
        raise InvalidFields(FieldViolation(field, "must not be only spaces"))
    return text


def title_of(request: Any) -> str:
    """The title of a request on one line, empty if it is not set; InvalidFields if it is nothing but spaces."""
    return " ".join(said("title", request.title).split())


def moment_of(request: Any, field: str) -> datetime | None:
    """A point in time; None if it is unset, InvalidFields if no calendar has it."""
    return read_moment(field, getattr(request, field)) if request.HasField(field) else None


def reviewer_of(request: Any) -> Reviewer:
    """Who asks for a change, why, and with which request."""
    caller, identity = current_caller(), uuid_of(request.request_id)
    digest = request_sha256(request)
    return Reviewer(caller.workspace, caller.key_id, request.reason, identity, digest)


async def read_atom(
    connection: Connection, workspace: UUID, atom: UUID, as_of: datetime | None = None
) -> types.Atom:
    """One atom with its evidence and the messages; NotFound if there is none, or none that held then."""
    found = await read_atoms(connection, workspace, [atom], as_of)
    if atom not in found:
        raise NotFound("atom", f"{atom} as of {as_of:%Y-%m-%dT%H:%M:%SZ}" if as_of else str(atom))
    return found[atom]


async def read_atoms(
    connection: Connection, workspace: UUID, atoms: Sequence[UUID], as_of: datetime | None = None
) -> dict[UUID, types.Atom]:
    """Atoms by id with their evidence and the messages."""
    rows = await library.atoms(
        connection, workspace, limit=max(len(atoms), 1), ids=atoms, as_of=as_of
    )
    passages = await library.evidence(connection, workspace, atoms, as_of)
    cited = sorted({each["message_id"] for found in passages.values() for each in found})
    messages = await library.messages(connection, workspace, cited)
    return {row["id"]: rendering.atom(row, passages[row["id"]], messages) for row in rows}
