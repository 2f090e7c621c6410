"""What an `embed` task asks: `<kind>:<generation>:<sha256 of the text in hex, or gone>`."""

import re
from dataclasses import dataclass
from uuid import UUID

from services.common.errors import ItemFailed

KINDS = ("message", "atom", "topic")
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SPEC = re.compile(rf"({'|'.join(KINDS)}):({_ID}):([0-9a-f]{{64}}|gone)")


@dataclass(frozen=True)
class Spec:
    """The kind of a subject, the generation, and the text that wants a vector; None if the subject is gone."""

    kind: str
    generation: UUID
    text_sha256: bytes | None


def parse(spec: str) -> Spec:
    """Read the spec of a task; ItemFailed if nothing makes such specs."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ItemFailed("malformed_spec", f"not a spec of the stage embed: {spec}")
    kind, generation, text = match.groups()
    return Spec(kind, UUID(generation), None if text == "gone" else bytes.fromhex(text))


def generation_of(spec: str) -> UUID | None:
    """Return the generation of a task; None for a spec that nothing makes."""
    match = _SPEC.fullmatch(spec)
    return UUID(match[2]) if match else None
