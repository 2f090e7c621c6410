"""Small conversations for the tests, written for them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.extractor.extraction import Window, WindowMessage
from services.extractor.grounded import GroundedEngine

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def talk(*lines: str, context: int = 0, seconds: int = 40) -> Window:
    """A window from lines `author: text`; `author>3: text` replies to message 3 (from 1)."""
    messages = []
    for number, line in enumerate(lines, 1):
        head, _, text = line.partition(": ")
        author, _, parent = head.partition(">")
        sent_at = START + timedelta(seconds=seconds * number)
        reply_to = int(parent) if parent else None
        messages.append(WindowMessage(number, author, text, sent_at, reply_to))
    return Window(tuple(messages), context)


def ids(atoms: Sequence[object]) -> list[list[object]]:
    """The message ids that each atom cites."""
    return [list(atom.message_ids) for atom in atoms]  # type: ignore[attr-defined]


async def kinds(*lines: str, seconds: int = 240) -> list[str]:
    """The types of what a small talk tells."""
    found = await GroundedEngine().extract(talk(*lines, seconds=seconds))
    return [atom.type for atom in found.atoms]
