"""What must hold of every history: pure, so that it is itself shown to find what is wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.history import Entry
from tests.faults.plans import NONSENSE, POISON

# Nobody refuses the same delivery twice, but a slow one may be delivered again while it is still held elsewhere.
REFUSAL_SECONDS_MIN, REFUSALS_MAX = 0.7, 3
# The deadline of a call and a second.
CALL_SECONDS_MAX = 3.5


def violations(entries: Sequence[Entry]) -> list[str]:
    """Every way in which a history breaks an invariant, each beginning with its name."""
    rows: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry["event"] == "row":
            rows[entry["table"]].append(entry)
    found: list[str] = []
    for check in (
        _answered,
        _stored,
        _once,
        _one_fence,
        _held,
        _vectors,
        _at_rest,
        _seen,
        _windows,
        _locks,
        _patience,
    ):
        found += check(entries, rows)
    return found


Rows = dict[str, list[Entry]]


def _answered(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I0: every call ends with an answer or a status that invites another try, and none outlives its deadline."""
    late: float = max((e["seconds"] for e in entries if e["event"] == "late"), default=0)
    for entry in entries:
        if entry["event"] == "fail":
            yield f"I0: {entry['op']} {entry['number']} failed with {entry['code']}: {entry['text']}"
        if entry["event"] == "info" and entry["took"] > CALL_SECONDS_MAX + late:
            yield f"I0: {entry['op']} {entry['number']} took {entry['took']} s, beyond its deadline"


def _stored(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I1: what was acknowledged is stored, byte for byte, in its latest version."""
    acknowledged = {entry["number"] for entry in entries if entry["event"] == "ok"}
    wanted: dict[str, tuple[int, str]] = {}
    deleted: set[str] = set()
    for entry in entries:
        if entry["event"] != "invoke" or entry["number"] not in acknowledged:
            continue
        for message in entry["messages"]:
            if entry["op"] == "delete":
                deleted.add(message["key"])
                continue
            version = (message["version"], message["text"])
            wanted[message["key"]] = max(version, wanted.get(message["key"], version))
    stored = {row["key"]: row for row in rows["message"]}
    for key, (_, text) in wanted.items():
        if key not in stored:
            yield f"I1: {key} was acknowledged and is not stored"
        elif stored[key]["text"] != text:
            yield f"I1: {key} is stored as {stored[key]['text']!r}, not {text!r}"
        elif stored[key]["deleted"] != (key in deleted):
            yield f"I1: {key} is {'' if stored[key]['deleted'] else 'not '}deleted"


def _once(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I2: one row a key, under the id that every acknowledgement named."""
    for (source, key), count in Counter((r["source"], r["key"]) for r in rows["message"]).items():
        if count > 1:
            yield f"I2: {source}/{key} is stored {count} times"
    ids = {row["key"]: row["id"] for row in rows["message"]}
    for entry in entries:
        for key, message in (entry.get("ids") or {}).items() if entry["event"] == "ok" else ():
            if ids.get(key) != message:
                yield f"I2: {key} was acknowledged as {message} and is stored as {ids.get(key)}"


def _one_fence(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I3: of all attempts at a window exactly one is visible, whole; its count is the task's.

    A window whose text was rewritten may be asked for again, since the text may have been another one in between.
    """
    rewritten = {row["id"] for row in rows["window"] if row["rewritten"]}
    tasks = {row["id"]: row for row in rows["task"] if row["stage"] == "extract"}
    runs: dict[str, list[Entry]] = defaultdict(list)
    of_window: dict[str, list[Entry]] = defaultdict(list)
    for run in rows["run"]:
        runs[run["task"]].append(run)
        of_window[run["window"]].append(run)
    for task, made in runs.items():
        if len(made) > 1 and made[0]["window"] not in rewritten:
            yield f"I3: {len(made)} attempts of the task {task} are visible"
        if task not in tasks or tasks[task]["state"] != "done":
            yield f"I3: the task {task} has results and is not done"
        elif tasks[task]["results"] != made[-1]["atoms"]:
            yield f"I3: the task {task} counts {tasks[task]['results']} atoms, its run {made[-1]['atoms']}"
    for window in rows["window"]:
        made = of_window[window["id"]]
        if len(made) == 1 and window["atoms"] != made[0]["atoms"]:
            yield f"I3: the window {window['id']} has {window['atoms']} atoms, its run {made[0]['atoms']}"
    for atom in rows["ungrounded"]:
        yield f"I3: the atom {atom['id']} cites nothing"
    for row in rows["misquote"]:
        yield f"I3: the atom {row['atom']} cites {row['quote']!r}, which stands there no longer"


def _held(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I3: who finishes a task is who claimed it last, once, and results are written together with that."""
    held: dict[str, str] = {}
    finished: dict[str, set[str]] = defaultdict(set)
    for row in rows["journal"]:
        task, replica = row["task"], row["replica"]
        if row["what"] == "claimed":
            held[task] = replica
        elif row["what"] == "finished":
            if row["was"] != "leased":
                yield f"I3: the task {task} was {row['was']} when {replica} finished it"
            elif held.get(task) != replica:
                yield f"I3: {replica} finished the task {task}, which {held.get(task)} held"
            finished[row["transaction"]] |= {task, row["subject"]}
        elif not {task, row["subject"]} & finished[row["transaction"]]:
            yield f"I3: {replica} wrote a {row['what']} of {task or row['subject']} without finishing its task"


def _vectors(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I4: rows = vectors: every text has its current vector unless its task is dead, and there are no others."""
    dead = {r["subject"] for r in rows["task"] if r["stage"] == "embed" and r["state"] == "dead"}
    wanted = {(r["kind"], r["subject"]): r["text_sha256"] for r in rows["embeddable"]}
    held = {(r["kind"], r["subject"]): r for r in rows["vector"]}
    for subject, text_sha256 in wanted.items():
        if subject[1] in dead:
            continue
        if subject not in held:
            yield f"I4: {subject} has no vector"
        elif held[subject]["text_sha256"] != text_sha256:
            yield f"I4: {subject} has the vector of another text"
    for subject, row in held.items():
        if subject not in wanted:
            yield f"I4: {subject} is gone and has a vector"
        elif not row["unit"]:
            yield f"I4: the vector of {subject} is not of unit length"


def _at_rest(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I5: nothing is open at the end, and exactly the poison is dead."""
    for entry in entries:
        if entry["event"] == "busy":
            yield f"I5: {entry['open']} things are still open: {entry['tasks'][:3]}"
    poison = {r["id"] for r in rows["message"] if POISON in r["text"] and not r["deleted"]}
    # A window is read together with what was said before it in its source.
    poisoned = {row["id"] for row in rows["window"] if row["poison"]}
    embedded = {
        r["subject"] for r in rows["task"] if r["stage"] == "embed" and r["state"] == "dead"
    }
    quoting = {row["id"] for row in rows["poisonous"]}
    for subject in embedded - poison - quoting:
        yield f"I5: {subject} is dead and no poison"
    doomed = poison | {row["id"] for row in rows["poisonous"] if row["embeddable"]}
    for subject in doomed - embedded:
        yield f"I5: {subject} is not dead, but poison"
    for task in rows["task"]:
        guilty = task["subject"] in poisoned or task["spec"].startswith(NONSENSE)
        if task["stage"] != "embed" and task["state"] == "dead" and not guilty:
            yield f"I5: the innocent {task['stage']} {task['subject']} is dead: {task['error_class']}"


def _seen(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I6: whoever asks after the acknowledgement sees it: reads at once, searches once the work is done."""
    versions: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry["event"] == "invoke":
            for message in entry["messages"]:
                versions[message["key"]].add(message["text"])
    for entry in entries:
        if entry["event"] == "unseen":
            yield f"I6: {entry['key']} was acknowledged and reading it gave {entry['code']}"
        if entry["event"] == "seen" and entry["text"] not in versions[entry["key"]]:
            yield f"I6: {entry['key']} was read as {entry['text']!r}, which nobody wrote"
    live = [row for row in rows["message"] if not row["deleted"]]
    for entry in entries:
        if entry["event"] == "found":
            wanted = {row["key"] for row in live if entry["word"] in row["text"].split()}
            if missing := wanted - set(entry["keys"]):
                yield f"I6: a search for {entry['word']} does not find {missing}"


def _windows(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I7: every message that was live when its conversation was cut is in exactly one window."""
    for row in rows["message"]:
        if row["windows"] > 1 or (row["windows"] == 0 and not row["deleted"]):
            yield f"I7: {row['key']} is in {row['windows']} windows"


def _locks(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I8: whoever takes several locks takes them in the same order as everybody else."""
    for entry in entries:
        if entry["event"] == "locks":
            yield from (f"I8: a deadlock: {detail}" for detail in entry["deadlocks"])


def _patience(entries: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """I9: a hint that nobody can work on now is left alone for a while."""
    last: dict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in entries:
        if entry["event"] == "mended" and entry["kind"] in ("wipe_nats", "kill_nats"):
            last.clear()
        if entry["event"] == "refused":
            hint, moment = (entry["consumer"], entry["hint"]), entry["moment"]
            recent = [at for at in last[hint] if moment - at < REFUSAL_SECONDS_MIN]
            last[hint] = [*recent, moment]
            if len(last[hint]) > REFUSALS_MAX:
                yield f"I9: {hint} was refused {len(last[hint])} times within {REFUSAL_SECONDS_MIN} s"


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """How much happened."""
    kinds = Counter(entry["kind"] for entry in entries if entry["event"] == "fault")
    events = Counter(entry["event"] for entry in entries)
    return {
        "messages": sum(e["event"] == "row" and e["table"] == "message" for e in entries),
        "faults": dict(sorted(kinds.items())),
        "tries": events["info"],
        "deaths": next((e["deaths"] for e in entries if e["event"] == "end"), 0),
        "drain_seconds": next((e["drain"] for e in entries if e["event"] == "end"), None),
    }
