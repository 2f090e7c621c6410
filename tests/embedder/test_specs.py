"""The specs of the stage `embed`, as `spine.enqueue_embedding` writes them."""

import pytest

from services.common.errors import ItemFailed
from services.common.ids import uuid7
from services.embedder.specs import KINDS, generation_of, parse


@pytest.mark.parametrize("kind", KINDS)
def test_specs_are_read(kind: str) -> None:
    """A spec says the kind, the generation and the text, or that the subject is gone."""
    generation = uuid7()
    spec = parse(f"{kind}:{generation}:{'ab' * 32}")
    assert (spec.kind, spec.generation, spec.text_sha256) == (kind, generation, b"\xab" * 32)
    assert parse(f"{kind}:{generation}:gone").text_sha256 is None
    assert generation_of(f"{kind}:{generation}:gone") == generation


GENERATION = "019a0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "message",
        f"photo:{GENERATION}:gone",
        f"atom:{GENERATION}:abc",
        f"atom:{'-' * 36}:gone",
    ],
)
def test_other_specs_are_refused(spec: str) -> None:
    """Whatever else is asked is an error that quotes it."""
    with pytest.raises(ItemFailed, match="embed"):
        parse(spec)
    assert generation_of(spec) is None
