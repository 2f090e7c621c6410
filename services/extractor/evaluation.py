"""Measuring an engine against curated windows: overlap of evidence, types, grounding, cost."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from services.common.errors import UnusableFile
from services.extractor.extraction import (
    ATOM_TYPES,
    TITLE_CHARACTERS_MAX,
    AtomDraft,
    Engine,
    Extraction,
    Label,
    MessageId,
    Window,
    WindowMessage,
)
from services.extractor.grounding import is_grounded

MATCH_OVERLAP_MIN: Final = 0.3
_WORD: Final = re.compile(r"\w+")

Score = Callable[[Sequence[WindowMessage]], Sequence[tuple[Label, float]]]
Progress = Callable[[int, int, str], None]


class EvaluationDataError(UnusableFile):
    """The folder to evaluate on lacks a file or holds a malformed one; the message names it."""


@dataclass(frozen=True, slots=True)
class GoldAtom:
    """An atom a careful curator would keep."""

    type: str
    message_ids: frozenset[MessageId]
    essential: bool
    title: str = ""


@dataclass(frozen=True, slots=True)
class GoldWindow:
    """A curated window with the messages of its chat it covers."""

    chat: str
    name: str
    message_ids: tuple[MessageId, ...]
    atoms: tuple[GoldAtom, ...]


@dataclass(slots=True)
class Tally:
    """Counts from which every figure is derived; tallies add up over windows."""

    windows: int = 0
    messages: int = 0
    gold: int = 0
    essential: int = 0
    predicted: int = 0
    matched: int = 0
    matched_essential: int = 0
    same_type: int = 0
    titled: int = 0
    title_overlap: float = 0.0
    titles_cut: int = 0
    valid: int = 0
    grounded: int = 0
    model_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for name in self.__slots__:
            ours, theirs = getattr(self, name), getattr(other, name)
            if isinstance(ours, dict):
                for key, count in theirs.items():
                    ours[key] = ours.get(key, 0) + count
            else:
                setattr(self, name, ours + theirs)

    def figures(self) -> dict[str, Any]:
        """The measures as rates; a rate over nothing is 0, except validity and grounding: 1."""
        precision = _rate(self.matched, self.predicted)
        recall = _rate(self.matched, self.gold)
        return {
            "essential_recall": _rate(self.matched_essential, self.essential),
            "recall": recall,
            "precision": precision,
            "f1": _rate(2 * precision * recall, precision + recall),
            "type_accuracy": _rate(self.same_type, self.matched),
            "title_rouge1": _rate(self.title_overlap, self.titled),
            "titles_cut": _rate(self.titles_cut, self.predicted),
            "valid": _rate(self.valid, self.predicted) if self.predicted else 1.0,
            "grounded": _rate(self.grounded, self.predicted) if self.predicted else 1.0,
            "atoms": self.predicted,
            "atoms_gold": self.gold,
            "windows": self.windows,
            "messages": self.messages,
            "llm_calls_per_message": _rate(self.model_calls, self.messages),
            "tokens_per_window": _rate(self.tokens, self.windows),
            "seconds_per_window": _rate(self.seconds, self.windows),
            "messages_per_second": _rate(self.messages, self.seconds),
            "outcomes": dict(sorted(self.outcomes.items())),
            "rejected": dict(sorted(self.rejected.items())),
        }


def _rate(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


async def evaluate(
    data_dir: Path,
    engine: Engine,
    predictions_path: Path | None = None,
    score: Score | None = None,
    progress: Progress = lambda done, total, name: None,
) -> dict[str, Any]:
    """Run the engine over every curated window of a folder; nothing is fitted on it.

    `progress` is told of each window before it is read. Raises EvaluationDataError when the folder
    lacks the labels or a chat they name, when a label is not one, or when predictions cannot be written.
    """
    golds = read_golds(data_dir)
    if predictions_path is not None:
        # A model may read for an hour before there is something to write.
        await asyncio.to_thread(_require_writable, predictions_path)
    chats = {chat: read_chat(data_dir, chat, score) for chat in {gold.chat for gold in golds}}
    tallies: dict[str, Tally] = {}
    predictions: list[dict[str, Any]] = []
    windows = [_window(gold, chats[gold.chat]) for gold in golds]
    for number, (gold, window) in enumerate(zip(golds, windows, strict=True), 1):
        progress(number, len(golds), gold.name)
        started = time.perf_counter()
        extraction = await engine.extract(window)
        tally = tally_window(gold, window, extraction, time.perf_counter() - started)
        tallies.setdefault(gold.chat, Tally()).add(tally)
        predictions.append(prediction(gold, extraction))
    if predictions_path is not None:
        await asyncio.to_thread(_write_lines, predictions_path, predictions)
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    by_chat = {chat: tally.figures() for chat, tally in sorted(tallies.items())}
    return {
        "engine": engine.name,
        "version": engine.version,
        **total.figures(),
        "by_chat": by_chat,
    }


def _require_writable(path: Path) -> None:
    """Raise EvaluationDataError for a file that cannot be written; one that is there keeps what it holds."""
    with _writing(path):
        path.open("a", encoding="utf-8").close()


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with _writing(path):
        path.write_text("".join(lines), encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvaluationDataError(f"{path}: cannot be written: {error.strerror}") from error


def tally_window(gold: GoldWindow, window: Window, extraction: Extraction, seconds: float) -> Tally:
    """Compare one extraction with its curated window."""
    pairs = match([frozenset(atom.message_ids) for atom in extraction.atoms], gold.atoms)
    agreed = [(extraction.atoms[i], gold.atoms[j]) for i, j in pairs]
    titles = [(atom.title, curated.title) for atom, curated in agreed if curated.title]
    return Tally(
        windows=1,
        messages=len(window.own),
        gold=len(gold.atoms),
        essential=sum(atom.essential for atom in gold.atoms),
        predicted=len(extraction.atoms),
        matched=len(pairs),
        matched_essential=sum(curated.essential for _, curated in agreed),
        same_type=sum(atom.type == curated.type for atom, curated in agreed),
        titled=len(titles),
        title_overlap=sum(rouge1(ours, theirs) for ours, theirs in titles),
        titles_cut=sum("…" in atom.title for atom in extraction.atoms),
        valid=sum(is_valid(atom) for atom in extraction.atoms),
        grounded=sum(is_grounded(atom.evidence, window.own) for atom in extraction.atoms),
        model_calls=extraction.model_calls,
        tokens=extraction.tokens_in + extraction.tokens_out,
        seconds=seconds,
        outcomes={extraction.outcome: 1},
        rejected={str(reason): count for reason, count in extraction.rejected.items()},
    )


def match(
    predicted: Sequence[frozenset[MessageId]], golds: Sequence[GoldAtom]
) -> list[tuple[int, int]]:
    """Pairs of positions, one to one, best first, whose evidence overlaps enough (IoU)."""
    candidates = [
        (len(ids & gold.message_ids) / len(ids | gold.message_ids), i, j)
        for i, ids in enumerate(predicted)
        for j, gold in enumerate(golds)
        if ids & gold.message_ids
    ]
    pairs: list[tuple[int, int]] = []
    for overlap, i, j in sorted(candidates, key=lambda item: (-item[0], item[1], item[2])):
        free = all(i != left and j != right for left, right in pairs)
        if overlap >= MATCH_OVERLAP_MIN and free:
            pairs.append((i, j))
    return pairs


def rouge1(text: str, reference: str) -> float:
    """The F-measure of the words that two texts share, 0..1: ROUGE-1 (Lin 2004), without stemming."""
    ours, theirs = (Counter(_WORD.findall(each.casefold())) for each in (text, reference))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def is_valid(atom: AtomDraft) -> bool:
    """Whether an atom is well formed: known type, a title that fits, a content, a confidence."""
    return (
        atom.type in ATOM_TYPES
        and 0 < len(atom.title.strip()) <= TITLE_CHARACTERS_MAX
        and bool(atom.content.strip())
        and 0.0 <= atom.confidence <= 1.0
    )


def prediction(gold: GoldWindow, extraction: Extraction) -> dict[str, Any]:
    """One window's extraction in the shape of the curated file, with the quotes beside it."""
    return {
        "chat": gold.chat,
        "window": gold.name,
        "message_ids": list(gold.message_ids),
        "topics": [
            {"name": topic.title, "message_ids": list(topic.message_ids)}
            for topic in extraction.topics
        ],
        "atoms": [
            {
                "type": atom.type,
                "title": atom.title,
                "content": atom.content,
                "message_ids": list(atom.message_ids),
                "essential": atom.confidence >= 0.5,
                "confidence": atom.confidence,
                "quotes": [passage.quote for passage in atom.evidence],
            }
            for atom in extraction.atoms
        ],
        "links": [
            {"from": link.source, "to": link.target, "type": link.type} for link in extraction.links
        ],
    }


def _window(gold: GoldWindow, chat: Mapping[MessageId, WindowMessage]) -> Window:
    missing = [number for number in gold.message_ids if number not in chat]
    if missing:
        text = f"{gold.chat}: window {gold.name} names message {missing[0]!r}, which the chat does not have"
        raise EvaluationDataError(text)
    return Window(tuple(chat[number] for number in gold.message_ids))


def read_golds(data_dir: Path) -> list[GoldWindow]:
    """The curated windows of a folder, from `labels/extraction.jsonl` or `extraction.jsonl`."""
    places = (data_dir / "labels" / "extraction.jsonl", data_dir / "extraction.jsonl")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise EvaluationDataError(f"{data_dir}: no labels/extraction.jsonl")
    golds = list(_golds(path))
    if not golds:
        raise EvaluationDataError(f"{path}: no curated window")
    return golds


def _golds(path: Path) -> Iterator[GoldWindow]:
    try:
        # Not `splitlines`: JSON may hold other ends of lines in its texts.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationDataError(f"{path}: cannot be read as text") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _gold(json.loads(line))
        except _BadLabel as error:
            raise EvaluationDataError(f"{path}:{number}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise EvaluationDataError(f"{path}:{number}: not a curated window") from error


class _BadLabel(Exception):
    """A part of a curated window that cannot be what it is said to be."""


def _gold(row: Mapping[str, Any]) -> GoldWindow:
    ids = _ids(row["message_ids"], "message_ids")
    atoms = tuple(_gold_atom(n, atom) for n, atom in enumerate(row["atoms"]))
    chat = row["chat"]
    if not isinstance(chat, str) or not chat or Path(chat).name != chat:
        raise _BadLabel(f"chat: {chat!r} is no name of a chat")
    return GoldWindow(chat, str(row["window"]), ids, atoms)


def _gold_atom(position: int, row: Mapping[str, Any]) -> GoldAtom:
    name = f"atoms[{position}]"
    if row["type"] not in ATOM_TYPES:
        raise _BadLabel(f"{name}.type: {row['type']!r} is none of {', '.join(ATOM_TYPES)}")
    ids = _ids(row["message_ids"], f"{name}.message_ids")
    title = row.get("title", "")
    if not isinstance(title, str):
        raise _BadLabel(f"{name}.title: not a text")
    return GoldAtom(row["type"], frozenset(ids), bool(row.get("essential", True)), title)


def _ids(value: Any, name: str) -> tuple[MessageId, ...]:
    is_listed = isinstance(value, list) and bool(value)
    if not is_listed or not all(type(number) in (int, str) for number in value):
        raise _BadLabel(f"{name}: not a list of message ids")
    return tuple(value)


def read_chat(
    data_dir: Path, chat: str, score: Score | None = None
) -> dict[MessageId, WindowMessage]:
    """A chat's export as messages by id, labelled by the scorer when one is given."""
    return read_export(data_dir / f"{chat}.result.json", score)


def read_export(path: Path, score: Score | None = None) -> dict[MessageId, WindowMessage]:
    """A single-chat export of Telegram as messages by id, labelled by the scorer when one is given."""
    if not path.is_file():
        raise EvaluationDataError(f"{path}: no such export")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["messages"]
        messages = [_message(row) for row in rows if row.get("type") == "message"]
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise EvaluationDataError(f"{path}: cannot be read as an export") from error
    if score is not None:
        messages = list(_labelled(messages, score(messages)))
    return {message.id: message for message in messages}


def _labelled(
    messages: Iterable[WindowMessage], labels: Iterable[tuple[Label, float]]
) -> Iterator[WindowMessage]:
    for message, (label, value) in zip(messages, labels, strict=True):
        yield replace(message, label=label, score=value)


def _message(row: Mapping[str, Any]) -> WindowMessage:
    text = row["text"]
    if not isinstance(text, str):
        text = "".join(part if isinstance(part, str) else part["text"] for part in text)
    identity, author, parent = row["id"], row.get("from") or "", row.get("reply_to_message_id")
    if type(identity) not in (int, str) or not isinstance(author, str):
        raise TypeError("not an id, or not a name")
    if type(parent) not in (int, str, type(None)):
        raise TypeError("not the id of a message")
    sent_at = datetime.fromtimestamp(int(row["date_unixtime"]), UTC)
    return WindowMessage(identity, author, text, sent_at, parent)
