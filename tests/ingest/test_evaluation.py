"""Evaluating the importance gate on labelled chats."""

import json
import lzma
from pathlib import Path

import pytest

from services.common.errors import WinnowError
from services.ingest.evaluation import UnusableData, evaluate, render
from services.ingest.features import FEATURE_NAMES
from services.ingest.fitting import EXPECTED

OWN_CHATS = Path(__file__).parents[2] / "benchmarks" / "importance"
TEXTS = {
    "noise": ("thanks!", "ok", "lol", "brb", "nice one", "hello all"),
    "weak": (
        "I think it was on Friday",
        "that is on the other host",
        "https://example.org/page",
        "are you on the new version?",
        "it looks a bit odd to me",
        "the second one, with the map",
    ),
    "signal": (
        "The backup failed because the disk of the archive host was full again.",
        "You need to set `max_connections` to 200, otherwise the pool runs dry.",
        "We decided to release on Thursday and to tell the customers today.",
        "Why does `sync_orders()` fail with E4012 after the upgrade of the proxy?",
        "Fixed: the cleanup job now runs as the right user and keeps seven days.",
        "The certificate expires in April and renewal takes three weeks, a risk.",
    ),
}


def write_data(folder: Path, chats: tuple[str, ...] = ("one", "two"), packed: str = "") -> Path:
    """A labelled folder; the chat named `packed` is compressed."""
    labels = []
    for chat in chats:
        rows = [
            {"id": 100 + n, "type": "message", "from": f"user {n % 5}", "text": text}
            for n, text in enumerate(
                t for three in zip(*TEXTS.values(), strict=True) for t in three
            )
        ]
        kinds = list(TEXTS) * 6
        labels += [
            {"chat": chat, "message_id": row["id"], "label": kind, "confidence": 1.0}
            for row, kind in zip(rows, kinds, strict=True)
        ]
        content = json.dumps({"messages": [{"id": 1, "type": "service"}, *rows]}).encode()
        if chat == packed:
            (folder / f"{chat}.result.json.xz").write_bytes(lzma.compress(content))
        else:
            (folder / f"{chat}.result.json").write_bytes(content)
    (folder / "labels").mkdir(exist_ok=True)
    lines = "\n".join(json.dumps(label) for label in labels)
    (folder / "labels" / "importance.jsonl").write_text(lines)
    return folder


def test_report(tmp_path: Path) -> None:
    """The report has every promised key, per chat too, and beats the majority class."""
    report = evaluate(write_data(tmp_path, packed="two"))
    assert report.keys() >= {
        *("accuracy", "macro_f1", "noise_precision", "length_rule_accuracy"),
        *("majority_accuracy", "by_chat"),
    }
    assert report["messages"] == 36
    assert report["majority_accuracy"] == pytest.approx(1 / 3)
    assert report["accuracy"] > 0.5
    assert report["by_chat"].keys() == {"one", "two"}
    assert report["by_chat"]["one"]["accuracy"] == report["by_chat"]["two"]["accuracy"]
    json.dumps(report)
    assert "length rule" in render(report)


def test_flat_folder(tmp_path: Path) -> None:
    """The labels may lie beside the chats."""
    nested = evaluate(write_data(tmp_path))
    (tmp_path / "labels" / "importance.jsonl").rename(tmp_path / "importance.jsonl")
    assert evaluate(tmp_path) == nested


def test_leave_one_out(tmp_path: Path) -> None:
    """Leaving one chat out fits to the others only and reports the same keys."""
    report = evaluate(write_data(tmp_path), leave_one_out=True)
    assert report["leave_one_out"] is True
    assert report["accuracy"] > 0.8
    assert evaluate(tmp_path, leave_one_out=True) == report


def test_leave_one_out_needs_two_chats(tmp_path: Path) -> None:
    """A single chat cannot be left out."""
    with pytest.raises(WinnowError, match="at least two chats"):
        evaluate(write_data(tmp_path, ("one",)), leave_one_out=True)


def test_unusable(tmp_path: Path) -> None:
    """Missing or broken data is refused with one line that names the file."""
    with pytest.raises(UnusableData, match="no labels"):
        evaluate(tmp_path)
    write_data(tmp_path)
    (tmp_path / "one.result.json").write_text("{")
    with pytest.raises(UnusableData, match=r"one\.result\.json: not a chat export"):
        evaluate(tmp_path)
    for broken in (
        "[" * 100_000,
        '{"messages": [{"text": "no id"}]}',
        '{"messages": [{"id": [100], "text": "ok"}]}',
        '{"messages": [{"id": 100, "from": 5, "text": "ok"}]}',
        '{"messages": [{"id": 100, "text": [{"type": "bold"}]}]}',
    ):
        (tmp_path / "one.result.json").write_text(broken)
        with pytest.raises(UnusableData, match=r"one\.result\.json: not a chat export"):
            evaluate(tmp_path)
    (tmp_path / "one.result.json").write_text('{"messages": []}')
    with pytest.raises(UnusableData, match="lacks 18 labelled"):
        evaluate(tmp_path)
    (tmp_path / "labels" / "importance.jsonl").write_text('{"chat": "one"}')
    with pytest.raises(UnusableData, match="not a file of labels"):
        evaluate(tmp_path)


def test_expectations_name_features() -> None:
    """Nothing is expected of a feature that does not exist."""
    assert set(EXPECTED) <= set(FEATURE_NAMES)


def test_own_chats() -> None:
    """On our own chats of several trades, in three languages, the gate beats the length rule fitted to them."""
    report = evaluate(OWN_CHATS)
    low, high = report["accuracy_interval"]
    assert low < report["accuracy"] < high
    assert report["accuracy"] > report["length_rule_accuracy"]
    assert report["noise_precision"] > 0.7
