"""What a request to update an atom asks to change."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

from services.common.errors import FieldViolation, InvalidFields
from services.extractor import rendering
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types


def _moment(request: pb.UpdateAtomRequest) -> Any:
    try:
        return request.valid_to.ToDatetime(UTC) if request.HasField("valid_to") else None
    except (ValueError, OverflowError):
        raise InvalidFields(FieldViolation("valid_to", "is no time of a calendar")) from None


_VALUES: Final[dict[str, Callable[[pb.UpdateAtomRequest], Any]]] = {
    "type": lambda request: rendering.name(types.AtomType, request.type),
    "title": lambda request: " ".join(request.title.split()),
    "content": lambda request: request.content.strip(),
    "valid_to": _moment,
}


def changes_of(request: pb.UpdateAtomRequest) -> dict[str, Any]:
    """The new values by field: those that the mask names, or those that are set; InvalidFields for nonsense."""
    found = {name: read(request) for name, read in _VALUES.items()}
    paths = set(request.update_mask.paths) or {name for name in found if found[name]}
    if not paths:
        raise InvalidFields(FieldViolation("update_mask", "names nothing, and nothing is set"))
    if unknown := sorted(paths - found.keys()):
        description = f"cannot change {unknown[0]}; only {', '.join(_VALUES)}"
        raise InvalidFields(FieldViolation("update_mask", description))
    empty = [name for name in ("type", "title", "content") if name in paths and not found[name]]
    if empty:
        raise InvalidFields(*(FieldViolation(n, "must not be empty") for n in empty))
    return {name: found[name] for name in _VALUES if name in paths}
