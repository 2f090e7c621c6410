"""What is packed for a model to read, and that nothing of it is said twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.search.answer import Answer
from services.search.contents import Contents
from services.search.packing import Budget, choose
from services.search.ranking import Fused
from services.search.store import Subject

SENT = datetime(2024, 5, 1, 9, tzinfo=UTC)
FULL, ROTATED, ATOM, PLAIN, SPOKEN = (UUID(int=i) for i in range(1, 6))
MESSAGES = {
    FULL: "The backup failed: disk full",
    ROTATED: "I have rotated the logs, so it works again",
}
ATOMS = {
    ATOM: ("Backups need room", "Rotate logs before each of them.", [FULL, ROTATED]),
    PLAIN: ("Backup failed", "the backup failed:  disk full", [FULL]),
    SPOKEN: ("Backup failed", "Ann: The backup failed: disk full", [FULL]),
}


def packed(*order: UUID) -> Sequence[str]:
    """The texts of the items that are packed of some subjects, the most relevant first."""
    messages = {
        each: {
            "text": text,
            "author_name": "Ann",
            "author_external_id": "ann",
            "sent_at": SENT,
        }
        for each, text in MESSAGES.items()
    }
    atoms = {
        each: {"type": "solution", "title": title, "content": content}
        for each, (title, content, _) in ATOMS.items()
    }
    evidence = {
        each: [{"message_id": message} for message in cited] for each, (*_, cited) in ATOMS.items()
    }
    subjects = [Subject("atom" if each in ATOMS else "message", each) for each in order]
    results = [Fused(each, 1 / (i + 1), {}) for i, each in enumerate(subjects)]
    answer = Answer(results=results, contents=Contents(messages, atoms, {}, evidence))
    chosen = choose(answer, {}, Budget())
    assert chosen.duplicates == len(order) - len(chosen.items)
    grounds = {item.fused.subject.id: item.messages for item in chosen.items}
    assert all(grounds[each] == tuple(ATOMS[each][2]) for each in grounds if each in ATOMS)
    return [item.text for item in chosen.items]


def test_a_message_that_an_atom_shows_is_not_repeated() -> None:
    """After an atom with its evidence, the messages of the evidence must be left out."""
    (text,) = packed(ATOM, ROTATED, FULL)
    assert text.splitlines() == [
        "[1] solution: Backups need room",
        "[1] Rotate logs before each of them.",
        f"[1] Ann, 2024-05-01 09:00: {MESSAGES[FULL]}",
        f"[1] Ann, 2024-05-01 09:00: {MESSAGES[ROTATED]}",
    ]


def test_an_atom_names_the_items_that_show_its_evidence() -> None:
    """After the messages of its evidence, an atom must name their numbers and show the other messages alone."""
    texts = packed(FULL, ATOM)
    assert texts[1].splitlines() == [
        "[2] solution: Backups need room",
        "[2] Rotate logs before each of them.",
        f"[2] Ann, 2024-05-01 09:00: {MESSAGES[ROTATED]}",
        "[2] from [1]",
    ]
    assert packed(FULL, ROTATED, ATOM)[2].splitlines()[-1] == "[3] from [1], [2]"


@pytest.mark.parametrize("atom", [PLAIN, SPOKEN])
def test_an_atom_that_only_repeats_its_message_is_left_out(atom: UUID) -> None:
    """An atom that adds nothing to shown messages and who wrote them must be left out, and alone say nothing twice."""
    assert len(packed(FULL, atom)) == 1
    (text,) = packed(atom)
    assert text.count("disk full") == 1
