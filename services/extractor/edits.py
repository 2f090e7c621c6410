"""What a request to update an atom asks to change."""

from collections.abc import Callable
from typing import Any, Final

from services.common.errors import FieldViolation, InvalidFields
from services.extractor import rendering
from services.extractor.requests import moment_of, said, title_of
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

_VALUES: Final[dict[str, Callable[[pb.UpdateAtomRequest], Any]]] = {
    "type": lambda request: rendering.name(types.AtomType, request.type),
    "title": title_of,
    "content": lambda request: said("content", request.content).strip(),
    "valid_to": lambda request: moment_of(request, "valid_to"),
}


def changes_of(request: pb.UpdateAtomRequest) -> dict[str, Any]:
    """The new values by field: those that the mask names, or those that are set; InvalidFields for nonsense."""
    are_set = {field.name for field, _ in request.ListFields()}
    paths = set(request.update_mask.paths) or are_set & _VALUES.keys()
    if not paths:
        raise InvalidFields(FieldViolation("update_mask", "names nothing, and nothing is set"))
    if unknown := sorted(paths - _VALUES.keys()):
        description = f"cannot change {unknown[0]}; only {', '.join(_VALUES)}"
        raise InvalidFields(FieldViolation("update_mask", description))
    found = {name: read(request) for name, read in _VALUES.items() if name in paths}
    empty = [name for name in ("type", "title", "content") if found.get(name) == ""]
    if empty:
        raise InvalidFields(*(FieldViolation(name, "must not be empty") for name in empty))
    return found
