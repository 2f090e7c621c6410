"""In which order a transaction asks for embedding and for comparing."""

from types import ModuleType
from typing import Any

import pytest

from services.common import outbox
from services.extractor import bonds


def recorded(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[str]:
    """Let a module ask as it does, and note each time for what: the kind that is embedded, or `compare`."""
    asked_for: list[str] = []
    compare = bonds.compare_again

    async def enqueue_embedding(*about: Any, **how: Any) -> int:
        asked_for.append(about[2])
        return await outbox.enqueue_embedding(*about, **how)

    async def compare_again(*about: Any) -> None:
        asked_for.append("compare")
        await compare(*about)

    monkeypatch.setattr(module, "enqueue_embedding", enqueue_embedding)
    monkeypatch.setattr(bonds, "compare_again", compare_again)
    return asked_for
