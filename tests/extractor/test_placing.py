"""Which known atom a new reading speaks of."""

from uuid import UUID, uuid4

import pytest

from services.extractor.extraction import AtomDraft, AtomType, Evidence
from services.extractor.placing import KnownAtom, match

MESSAGE, OTHER = uuid4(), uuid4()


def draft(title: str, kind: AtomType = "problem", *messages: UUID) -> AtomDraft:
    """A draft that rests on messages, on MESSAGE if none are named."""
    evidence = tuple(Evidence(message, "words", 0, 5) for message in messages or (MESSAGE,))
    return AtomDraft(kind, title, "It is so.", evidence, 0.5)


def known(*titles: str, types: tuple[str, ...] = ("problem",), **changes: object) -> KnownAtom:
    """A known atom on MESSAGE with versions of these titles, the newest first."""
    texts = tuple(f"{title}\nIt is so." for title in titles)
    values: dict[str, object] = {
        "id": uuid4(),
        "version": len(titles),
        "texts": texts,
        "types": types,
        "message_ids": frozenset({MESSAGE}),
        "passages": 1,
        "standing": 1,
        "state": "proposed",
        "origin": "extraction",
        "is_ended": False,
        "is_invalidated": False,
    }
    return KnownAtom(**(values | changes))  # type: ignore[arg-type]


def test_the_same_words_come_first() -> None:
    """Words decide before evidence and type."""
    one, two = known("disk full"), known("backup fails")
    assert match([one, two], [draft("backup fails"), draft("disk is full")]) == {0: two, 1: one}


def test_words_of_an_edited_atom_are_remembered() -> None:
    """What a person has put in other words and under another type still meets its first version."""
    edited = known("the disk ran full", "disk full", types=("blocker", "problem"), origin="person")
    assert match([edited], [draft("disk full", "problem", OTHER)]) == {0: edited}
    assert match([edited], [draft("a disk is full", "problem")]) == {0: edited}
    assert match([edited], [draft("a disk is full", "idea")]) == {}


def test_the_likest_of_several_is_meant() -> None:
    """A reworded reading of a rejected atom meets it, not its neighbour on the same message."""
    rejected, live = known("disk of db-2 is full", state="rejected"), known("nobody had an alert")
    reread = [draft("the disk of db-2 is full"), draft("nobody got an alert")]
    assert match([live, rejected], reread) == {0: rejected, 1: live}


@pytest.mark.timeout(60)
def test_repetitive_words_are_compared_at_once() -> None:
    """Two readings of a text made to be aligned in every way are told apart without trying all of them."""
    atom = known(*("ab" * 900 + "x" * number for number in range(20)))
    assert match([atom], [draft("abx" * 600)]) == {0: atom}


def test_an_old_type_counts_for_judged_atoms_alone() -> None:
    """An unjudged atom is met by its current type only."""
    atom = known("other", types=("blocker", "problem"))
    assert match([atom], [draft("disk full", "problem")]) == {}


@pytest.mark.parametrize(
    ("changes", "held", "outlives"),
    [
        ({}, False, False),
        ({"state": "approved"}, True, True),
        ({"state": "approved", "standing": 0}, False, False),
        ({"state": "rejected"}, True, True),
        ({"state": "rejected", "standing": 0}, True, False),
        ({"origin": "person", "state": "approved", "standing": 0}, True, False),
        ({"is_ended": True}, True, True),
        ({"is_ended": True, "passages": 2}, False, False),
        ({"origin": "person", "state": "approved", "passages": 2}, True, True),
        ({"is_invalidated": True, "state": "approved", "standing": 0}, True, False),
    ],
)
def test_what_a_reading_leaves_alone(
    changes: dict[str, object], held: bool, outlives: bool
) -> None:
    """Judged atoms keep their words, an approval only with what it rested on; nothing outlives its messages."""
    atom = known("disk full", **changes)
    assert (atom.is_held, atom.outlives_silence) == (held, outlives)
