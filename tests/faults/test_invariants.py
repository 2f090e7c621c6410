"""The judge is judged: a history in which all is well passes, and each thing that can be wrong is found by its name."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.history import Entry, History, read
from tests.faults.invariants import violations
from tests.faults.plans import POISON

TEXT = "the disk of db-2 is full, zq1"


def row(table: str, **values: Any) -> Entry:
    """A row of the last look."""
    return {"event": "row", "table": table, **values}


def good() -> list[Entry]:
    """One message that was written, acknowledged after a second try, read, cut, extracted, embedded and found."""
    message = {"key": "k", "version": 0, "text": TEXT}
    info = {"code": "UNAVAILABLE", "took": 0.1, "text": ""}
    task = {"state": "done", "spec": "", "attempts": 1, "fence": 1, "error_class": None}
    return [
        {"event": "invoke", "op": "write", "number": 0, "source": "s", "messages": [message]},
        {"event": "info", "op": "write", "number": 0, **info},
        {"event": "ok", "op": "write", "number": 0, "ids": {"k": "m"}},
        {"event": "seen", "key": "k", "text": TEXT},
        row("message", id="m", key="k", source="s", text=TEXT, deleted=False, windows=1),
        row("window", id="w", atoms=2, poison=False, rewritten=False),
        row("task", id="t", stage="extract", subject="w", results=2, **task),
        row("task", id="u", stage="embed", subject="m", results=1, **task),
        row("run", id="r", task="t", window="w", outcome="ok", atoms=2),
        row("embeddable", kind="message", subject="m", text_sha256="h"),
        row("vector", kind="message", subject="m", text_sha256="h", unit=True),
        {"event": "found", "word": "zq1", "keys": ["k"]},
        *journal("t", "w", row("journal", what="run", task="t", subject=None)),
        *journal("u", "m", row("journal", what="vector", task=None, subject="m")),
        refused(1.0),
        refused(1.8),
        {"event": "locks", "deadlocks": []},
        {"event": "late", "seconds": 0.1},
        {"event": "end", "drain": 1.0, "deaths": 0},
    ]


def refused(moment: float) -> Entry:
    """A worker asks for a hint again."""
    return {"event": "refused", "consumer": "embed", "hint": 7, "moment": moment}


def journal(task: str, subject: str, *written: Entry) -> list[Entry]:
    """A replica claims a task, finishes it and writes its result, all of that in one transaction."""
    moved = [
        row("journal", what=what, task=task, subject=subject, was="leased")
        for what in ("claimed", "finished")
    ]
    return [{"replica": "a", "transaction": task, **entry} for entry in (*moved, *written)]


def with_journal(*rows: Entry) -> list[Entry]:
    """The good history with more in its journal."""
    return [*good(), *({"transaction": "x", "was": "leased", **entry} for entry in rows)]


def changed(place: int, **values: Any) -> list[Entry]:
    """The good history with other values in one entry."""
    return [{**e, **values} if n == place else e for n, e in enumerate(good())]


def without(place: int) -> list[Entry]:
    """The good history without one entry."""
    return [entry for n, entry in enumerate(good()) if n != place]


BROKEN = {
    "a call fails": ("I0", [*good(), {"event": "fail", "op": "write", "number": 1, "code": "INTERNAL", "text": ""}]),
    "a call outlives its deadline": ("I0", changed(1, took=9.0)),
    "an acknowledged message is gone": ("I1", without(4)),
    "a byte is another": ("I1", changed(4, text=TEXT + " ")),
    "a message is deleted that nobody deleted": ("I1", changed(4, deleted=True)),
    "a key is stored twice": ("I2", [*good(), good()[4]]),
    "an acknowledgement named another id": ("I2", changed(2, ids={"k": "x"})),
    "two attempts are visible": ("I3", [*good(), row("run", id="r2", task="t", window="w", atoms=2)]),
    "results without a finished task": ("I3", changed(6, state="leased")),
    "a count that is not the task's": ("I3", changed(6, results=3)),
    "half of an attempt": ("I3", changed(5, atoms=1)),
    "a task finished twice": (
        "I3", with_journal(row("journal", what="finished", task="t", subject="w", replica="a", was="done"))
    ),
    "a task finished by who lost it": (
        "I3",
        with_journal(
            row("journal", what="claimed", task="t", subject="w", replica="b"),
            row("journal", what="finished", task="t", subject="w", replica="a"),
        ),
    ),
    "a reading apart from its task": (
        "I3", with_journal(row("journal", what="run", task="t", subject=None, replica="a"))
    ),
    "a vector apart from its task": (
        "I3", with_journal(row("journal", what="vector", task=None, subject="m", replica="a"))
    ),
    "an atom without evidence": ("I3", [*good(), row("ungrounded", id="a")]),
    "an atom that misquotes": ("I3", [*good(), row("misquote", atom="a", quote="full")]),
    "a missing vector": ("I4", without(10)),
    "a vector of an older text": ("I4", changed(10, text_sha256="old")),
    "a vector of nothing": ("I4", without(9)),
    "a vector of wrong length": ("I4", changed(10, unit=False)),
    "work that does not end": ("I5", [*good(), {"event": "busy", "open": 1, "tasks": []}]),
    "an innocent that died": ("I5", changed(7, state="dead")),
    "an innocent window that died": ("I5", changed(6, state="dead")),
    "poison that lives": ("I5", changed(4, text=POISON)),
    "an atom that quotes poison and lives": ("I5", [*good(), row("poisonous", id="a", embeddable=True)]),
    "a message that cannot be read": ("I6", [*good(), {"event": "unseen", "key": "k", "code": "NOT_FOUND"}]),
    "a text that nobody wrote": ("I6", changed(3, text="other")),
    "a message that no search finds": ("I6", changed(11, keys=[])),
    "a deadlock": ("I8", [*good(), {"event": "locks", "deadlocks": ["Process 1 waits"]}]),
    "a hint that storms": ("I9", [*good(), *[refused(3 + n / 100) for n in range(4)]]),
    "a message in no window": ("I7", changed(4, windows=0)),
    "a message in two windows": ("I7", changed(4, windows=2)),
}  # fmt: skip


def test_a_good_history_passes() -> None:
    """When all is well nothing is found."""
    assert violations(good()) == []


def test_what_quotes_poison_may_die() -> None:
    """An atom that tells the words of poison has no vector, and nobody is to blame."""
    task = {
        "spec": "",
        "attempts": 8,
        "fence": 8,
        "error_class": "unusable_vectors",
        "results": None,
    }
    dead = row("task", id="v", stage="embed", subject="a", state="dead", **task)
    quotes = row("poisonous", id="a", embeddable=True)
    atom = row("embeddable", kind="atom", subject="a", text_sha256="g")
    assert violations([*good(), dead, quotes, atom]) == []
    assert violations([*good(), dead, atom]) == ["I5: a is dead and no poison"]


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_found(what: str) -> None:
    """Each kind of damage breaks the invariant that speaks of it."""
    name, history = BROKEN[what]
    assert name in {found.partition(":")[0] for found in violations(history)}


def test_a_history_is_read_as_it_was_written(scratch: Path) -> None:
    """A history that was written down is judged as the one in memory."""
    history = History(scratch / "history.jsonl")
    for entry in good():
        history.note(**entry)
    history.close()
    assert read(scratch / "history.jsonl") == history.entries
    assert violations(history.entries) == []
