"""Measures the importance gate on labelled chats, beside what needs no model at all.

Data: `labels/importance.jsonl` (or `importance.jsonl`) in a folder with the chats as
`NAME.result.json` or `NAME.result.json.xz`; rows are {"chat", "message_id", "label"}.
"""

import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.errors import UnusableFile, WinnowError
from services.ingest.features import Features, observe
from services.ingest.fitting import Floats, Integers, fit, matrix
from services.ingest.scoring import DEFAULT_THRESHOLDS, NOISE, SIGNAL, WEAK, Thresholds, add_up
from services.ingest.wording import CONTEXT_MESSAGES, Context, Reading, ScoredInput, read

LABELS = (NOISE, WEAK, SIGNAL)
BOOTSTRAP_DRAWS = 2000
# What JSON of another shape than is wanted raises.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
Report = dict[str, Any]


class UnusableData(UnusableFile):
    """Evaluation data that cannot be read; the text names the file."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with its label (0 noise, 1 weak, 2 signal) and all that the gate sees of it."""

    chat: str
    message_id: int
    label: int
    length: int
    features: Features


def evaluate(
    data: Path, leave_one_out: bool = False, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> Report:
    """The gate's figures on a folder; with `leave_one_out`, of weights fitted to the other chats."""
    rows = read_labelled(data)
    labels = np.array([row.label for row in rows])
    if leave_one_out:
        predicted = _predict_left_out(rows, labels)
    else:
        predicted = np.array([LABELS.index(add_up(row.features, thresholds).label) for row in rows])
    chats = np.array([row.chat for row in rows])
    return _figures(labels, predicted) | {
        "messages": len(rows),
        "accuracy_interval": _interval(predicted == labels),
        "leave_one_out": leave_one_out,
        "length_rule_accuracy": _length_rule([row.length for row in rows], labels),
        "majority_accuracy": float(np.bincount(labels).max() / len(labels)),
        "by_chat": {
            chat: _figures(labels[chats == chat], predicted[chats == chat])
            | {"messages": int((chats == chat).sum())}
            for chat in sorted(set(chats.tolist()))
        },
    }


def render(report: Report) -> str:
    """The figures as lines for people."""
    how = "leave one chat out" if report["leave_one_out"] else "shipped weights"
    low, high = report["accuracy_interval"]
    lines = [
        f"importance, {report['messages']} labelled messages, {how}",
        f"  accuracy         {report['accuracy']:.3f}, 95 % interval {low:.3f} to {high:.3f}"
        f"   (length rule {report['length_rule_accuracy']:.3f},"
        f" majority class {report['majority_accuracy']:.3f})",
        f"  macro F1         {report['macro_f1']:.3f}",
        f"  noise precision  {report['noise_precision']:.3f}",
    ]
    lines += [
        f"  {name:<24} accuracy {chat['accuracy']:.3f}  macro F1 {chat['macro_f1']:.3f}"
        f"  noise precision {chat['noise_precision']:.3f}  n {chat['messages']}"
        for name, chat in report["by_chat"].items()
    ]
    return "\n".join(lines)


def read_labelled(data: Path, labels_file: Path | None = None) -> list[Labelled]:
    """Every labelled message of a folder with its features in context. Raises UnusableData."""
    file = labels_file or _find_labels(data)
    wanted: dict[str, dict[int, int]] = {}
    for chat, number, label in _read_labels(file):
        wanted.setdefault(chat, {})[number] = label
    if not wanted:
        raise UnusableData(file, "no labels")
    return [row for chat in wanted for row in _read_chat(data, chat, wanted[chat])]


def _find_labels(data: Path) -> Path:
    for file in (data / "labels" / "importance.jsonl", data / "importance.jsonl"):
        if file.is_file():
            return file
    raise UnusableData(data, "no labels/importance.jsonl")


def _read_labels(file: Path) -> Iterator[tuple[str, int, int]]:
    try:
        for line in file.read_text("utf-8").splitlines():
            if line.strip():
                row = json.loads(line)
                yield str(row["chat"]), int(row["message_id"]), LABELS.index(row["label"])
    except (*_MALFORMED, OSError) as error:
        raise UnusableData(file, f"not a file of labels: {error}") from error


def _read_chat(data: Path, chat: str, wanted: dict[int, int]) -> Iterator[Labelled]:
    """Reads the chat in order, as it would have been ingested."""
    recent: list[Reading] = []
    found = 0
    for number, message in _messages(data, chat):
        context = Context(recent[-CONTEXT_MESSAGES:])
        reading = read(message, context)
        recent = [*recent[1 - CONTEXT_MESSAGES :], reading]
        if number in wanted:
            found += 1
            features = observe(reading, context)
            yield Labelled(chat, number, wanted[number], len(message.text), features)
    if found < len(wanted):
        raise UnusableData(data, f"chat {chat} lacks {len(wanted) - found} labelled messages")


def _messages(data: Path, chat: str) -> list[tuple[int, ScoredInput]]:
    """The messages of a chat by number, in order."""
    plain, packed = data / f"{chat}.result.json", data / f"{chat}.result.json.xz"
    file = packed if packed.is_file() and not plain.is_file() else plain
    try:
        content = lzma.decompress(file.read_bytes()) if file is packed else file.read_bytes()
        rows = json.loads(content, strict=False)["messages"]
        said = [row for row in rows if row.get("type", "message") == "message"]
        return [(int(row["id"]), _as_input(row)) for row in said]
    except (*_MALFORMED, OSError, lzma.LZMAError) as error:
        raise UnusableData(file, f"not a chat export: {error}") from error


def _as_input(row: dict[str, Any]) -> ScoredInput:
    text = row.get("text") or ""
    if isinstance(text, list):
        text = "".join(part if isinstance(part, str) else part["text"] for part in text)
    author = row.get("from") or ""
    if not isinstance(author, str) or not isinstance(text, str):
        raise TypeError("a name and a text must be texts")
    return ScoredInput(
        author=author,
        text=text,
        message_id=str(row["id"]),
        reply_to=str(row.get("reply_to_message_id") or ""),
    )


def _predict_left_out(rows: Sequence[Labelled], labels: Integers) -> Integers:
    features = matrix([row.features for row in rows])
    chats = np.array([row.chat for row in rows])
    if len(set(chats.tolist())) < 2:
        raise WinnowError("leave-one-out needs labels of at least two chats")
    predicted = np.zeros_like(labels)
    for chat in set(chats.tolist()):
        held = chats == chat
        predicted[held] = _fit_plainly(features[~held], labels[~held], features[held])
    return predicted


def _fit_plainly(features: Floats, labels: Integers, unseen: Floats) -> Integers:
    return fit(features, labels, np.zeros_like(labels)).predict(unseen)


def _figures(labels: Integers, predicted: Integers) -> dict[str, float]:
    f1 = []
    for label in range(len(LABELS)):
        hits = int(((predicted == label) & (labels == label)).sum())
        either = int((predicted == label).sum() + (labels == label).sum())
        f1.append(2 * hits / either if either else 1.0)
    noise = predicted == 0
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": sum(f1) / len(f1),
        "noise_precision": float((labels[noise] == 0).mean()) if noise.any() else 1.0,
    }


def _interval(hits: npt.NDArray[np.bool_]) -> list[float]:
    """Where 95 of 100 accuracies lie if the messages are drawn again (bootstrap, Efron 1979)."""
    draws = np.random.default_rng(0).integers(0, len(hits), (BOOTSTRAP_DRAWS, len(hits)))
    accuracies = hits[draws].mean(axis=1)
    return [float(bound) for bound in np.percentile(accuracies, (2.5, 97.5))]


def _length_rule(lengths: list[int], labels: Integers) -> float:
    """The accuracy of the best pair of length thresholds for these very labels."""
    characters = np.array(lengths)
    edges = np.unique(np.append(characters, characters.max() + 1))
    best = 0.0
    for position, low in enumerate(edges):
        for high in edges[position:]:
            guess = (characters >= low).astype(int) + (characters >= high)
            best = max(best, float((guess == labels).mean()))
    return best
