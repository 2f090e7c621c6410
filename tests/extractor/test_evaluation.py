"""Evaluation: matching, figures, reading of folders, and predictions in the curated shape."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.extractor.evaluation import (
    EvaluationDataError,
    GoldAtom,
    Tally,
    evaluate,
    is_valid,
    match,
    read_golds,
    rouge1,
)
from services.extractor.extraction import (
    AtomDraft,
    Evidence,
    Extraction,
    Label,
    LinkDraft,
    TopicDraft,
    Window,
    WindowMessage,
)

TEXTS = ["the build fails on arm", "pin the compiler to version 12", "thanks", "lunch?"]


class PlannedEngine:
    """Gives the same extraction for every window and remembers the windows."""

    name = "planned"
    version = "planned-1"

    def __init__(self, extraction: Extraction) -> None:
        self.extraction = extraction
        self.windows: list[Window] = []

    async def extract(self, window: Window) -> Extraction:
        """The planned extraction."""
        self.windows.append(window)
        return self.extraction


def cite(*numbers: int, kind: str = "problem") -> AtomDraft:
    """An atom that cites whole messages of the folder."""
    evidence = tuple(Evidence(n, TEXTS[n - 1], 0, len(TEXTS[n - 1])) for n in numbers)
    return AtomDraft(kind, "The build fails", "ann: the build fails", evidence, 0.7)  # type: ignore[arg-type]


def folder(path: Path, nested: bool = True) -> Path:
    """A folder with one chat and one curated window of two atoms."""
    rows = [
        {
            "id": number,
            "type": "message",
            "date_unixtime": str(1_760_000_000 + number),
            "from": "ann",
            "text": text if number != 2 else ["pin the ", {"type": "bold", "text": text[8:]}],
        }
        for number, text in enumerate(TEXTS, 1)
    ]
    rows.append({"id": 9, "type": "service", "date_unixtime": "1760000009", "text": ""})
    (path / "dev.result.json").write_text(json.dumps({"messages": rows}), encoding="utf-8")
    gold = {
        "chat": "dev",
        "window": "dev/w0",
        "message_ids": [1, 2, 3, 4],
        "topics": [],
        "atoms": [
            {"type": "problem", "title": "Build fails", "message_ids": [1], "essential": True},
            {"type": "solution", "message_ids": [2, 3], "essential": False},
        ],
        "links": [],
    }
    place = path / "labels" if nested else path
    place.mkdir(exist_ok=True)
    (place / "extraction.jsonl").write_text(json.dumps(gold) + "\n\n", encoding="utf-8")
    return path


def odd(**changes: object) -> str:
    """The folder's curated window with one thing changed; `type` and `ids` are those of its atom."""
    atom = {
        "type": changes.pop("type", "problem"),
        "title": changes.pop("title", ""),
        "message_ids": changes.pop("ids", [1]),
    }
    window: dict[str, object] = {"chat": "dev", "window": "dev/w0", "message_ids": [1, 2, 3, 4]}
    return json.dumps({**window, "atoms": [atom], **changes})


def export(**changes: object) -> str:
    """An export of the window's messages, the first of them with some things changed."""
    rows = [
        {"id": number, "type": "message", "date_unixtime": "1760000000", "text": text}
        for number, text in enumerate(TEXTS, 1)
    ]
    return json.dumps({"messages": [rows[0] | changes, *rows[1:]]})


def gold(*numbers: int) -> GoldAtom:
    """A curated atom of these messages."""
    return GoldAtom("problem", frozenset(numbers), True)


@pytest.mark.parametrize(
    ("predicted", "golds", "pairs"),
    [
        ([{1, 2}], [gold(1, 2)], [(0, 0)]),
        ([set(range(1, 11))], [gold(1, 2)], []),
        ([{1, 2, 3}], [gold(1)], [(0, 0)]),
        ([{1}, {1, 2}], [gold(1, 2)], [(1, 0)]),
        ([{1, 2}], [gold(1, 2, 3), gold(1, 2)], [(0, 1)]),
        ([{1}, {2}], [gold(2), gold(1)], [(0, 1), (1, 0)]),
        ([{7}], [gold(1)], []),
    ],
)
def test_atoms_are_matched_one_to_one_best_first(
    predicted: Sequence[set[int]], golds: Sequence[GoldAtom], pairs: list[tuple[int, int]]
) -> None:
    """Overlap of evidence decides; citing half the window earns nothing; nothing matches twice."""
    assert match([frozenset(ids) for ids in predicted], golds) == pairs


async def test_figures_of_a_run(tmp_path: Path) -> None:
    """Recall, precision, types, cost and outcomes are counted over the folder's windows."""
    engine = PlannedEngine(
        Extraction(
            atoms=(cite(1), cite(2, 3), cite(4)),
            outcome="ok",
            rejected={"empty": 2},
            tokens_in=90,
            tokens_out=10,
            model_calls=1,
        )
    )
    figures = await evaluate(folder(tmp_path), engine)
    assert figures["essential_recall"] == 1.0
    assert figures["precision"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["f1"] == pytest.approx(0.8, abs=1e-3)
    assert figures["type_accuracy"] == 0.5
    assert figures["title_rouge1"] == 0.8
    assert figures["titles_cut"] == 0.0
    assert (figures["valid"], figures["grounded"]) == (1.0, 1.0)
    assert figures["llm_calls_per_message"] == 0.25
    assert figures["tokens_per_window"] == 100
    assert figures["outcomes"] == {"ok": 1}
    assert figures["rejected"] == {"empty": 2}
    assert figures["messages_per_second"] > 0
    assert figures["seconds_per_window"] >= 0
    assert set(figures["by_chat"]) == {"dev"}
    assert [m.text for m in engine.windows[0].messages] == TEXTS


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("The build fails", "the build FAILS?", 1.0),
        ("the build", "the build of the build", 4 / 7),
        ("Білд падає", "Чому падає білд на arm?", 4 / 7),
        ("lunch", "the build", 0.0),
        ("…", "", 0.0),
    ],
)
def test_titles_are_compared_by_the_words_they_share(
    text: str, reference: str, expected: float
) -> None:
    """ROUGE-1: a word counts as often as both have it, and precision and recall alike."""
    assert rouge1(text, reference) == pytest.approx(expected)
    assert rouge1(reference, text) == pytest.approx(expected)


async def test_titles_that_were_cut_are_counted(tmp_path: Path) -> None:
    """The share of all atoms, matched or not; where no curated atom has a title there is nothing to compare."""
    cut = replace(cite(2, 3), title="The build fails and…")
    extraction = Extraction(atoms=(cut, cite(4)), outcome="ok")
    figures = await evaluate(folder(tmp_path), PlannedEngine(extraction))
    assert (figures["titles_cut"], figures["title_rouge1"]) == (0.5, 0.0)


async def test_ungrounded_and_foreign_predictions_count_against(tmp_path: Path) -> None:
    """Evidence outside the window or at wrong offsets is neither grounded nor matched."""
    foreign = AtomDraft("problem", "t", "c", (Evidence(77, "x", 0, 1),), 0.5)
    moved = AtomDraft("problem", "t", "c", (Evidence(4, "unch", 0, 4),), 0.5)
    figures = await evaluate(
        folder(tmp_path), PlannedEngine(Extraction(atoms=(foreign, moved), outcome="ok"))
    )
    assert (figures["grounded"], figures["precision"], figures["f1"]) == (0.0, 0.0, 0.0)


async def test_predictions_are_written_in_the_curated_shape(tmp_path: Path) -> None:
    """The file of predictions can be read like the curated one, link ends by position."""
    extraction = Extraction(
        (TopicDraft("build", (1, 2), (0, 1)),),
        (cite(1), cite(2, kind="solution")),
        (LinkDraft(1, 0, "solves", 0.7),),
        "ok",
    )
    out = tmp_path / "predictions.jsonl"
    await evaluate(folder(tmp_path, nested=False), PlannedEngine(extraction), out)
    row = json.loads(out.read_text(encoding="utf-8"))
    assert {"chat", "window", "message_ids", "topics", "atoms", "links"} <= set(row)
    assert row["atoms"][1]["message_ids"] == [2]
    assert row["links"] == [{"from": 1, "to": 0, "type": "solves"}]
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "extraction.jsonl").write_text(out.read_text(encoding="utf-8"))
    assert read_golds(tmp_path / "again")[0].atoms[1].type == "solution"


async def test_ends_of_lines_within_a_label_end_no_line(tmp_path: Path) -> None:
    """What JSON leaves as it is in a text, such as U+2028, does not part a curated window."""
    folder(tmp_path, nested=False)
    labels = tmp_path / "extraction.jsonl"
    row = json.loads(labels.read_text(encoding="utf-8")) | {"note": "one\u2028two\x85three"}
    labels.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert len(read_golds(tmp_path)) == 1


async def test_the_scorer_labels_the_whole_chat(tmp_path: Path) -> None:
    """Labels come from the given scorer, which sees the chat in order."""

    def score(messages: Sequence[WindowMessage]) -> list[tuple[Label, float]]:
        assert [m.id for m in messages] == [1, 2, 3, 4]
        return [("noise", 0.1) if len(m.text) < 10 else ("signal", 0.9) for m in messages]

    engine = PlannedEngine(Extraction())
    figures = await evaluate(folder(tmp_path), engine, score=score)
    assert [m.label for m in engine.windows[0].own] == ["signal", "signal", "noise", "noise"]
    assert (figures["precision"], figures["valid"], figures["grounded"]) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels/extraction.jsonl", '{"chat": 1}', "extraction[.]jsonl:1"),
        ("labels/extraction.jsonl", "{", "extraction.jsonl:1"),
        ("labels/extraction.jsonl", "\n", "extraction.jsonl: no curated window"),
        ("labels/extraction.jsonl", "[]", "extraction.jsonl:1"),
        ("labels/extraction.jsonl", odd(chat="../dev"), "chat: '../dev' is no name"),
        ("labels/extraction.jsonl", odd(chat="ops"), "ops.result.json: no such export"),
        (
            "labels/extraction.jsonl",
            odd(message_ids="1-4"),
            "message_ids: not a list of message ids",
        ),
        ("labels/extraction.jsonl", odd(message_ids=[1, 99]), "names message 99"),
        (
            "labels/extraction.jsonl",
            odd(type="gossip"),
            r"atoms\[0\].type: 'gossip' is none of problem",
        ),
        ("labels/extraction.jsonl", odd(ids=[]), r"atoms\[0\].message_ids: not a list"),
        ("labels/extraction.jsonl", odd(title=7), r"atoms\[0\].title: not a text"),
        ("labels/extraction.jsonl", "[" * 100_000, "extraction.jsonl:1: not a curated window"),
        ("dev.result.json", "{", "dev.result.json"),
        ("dev.result.json", "[" * 100_000, "dev.result.json: cannot be read as an export"),
        ("dev.result.json", export(id=[1]), "dev.result.json: cannot be read as an export"),
        ("dev.result.json", export(**{"from": 5}), "dev.result.json: cannot be read as an export"),
        (
            "dev.result.json",
            export(reply_to_message_id={}),
            "dev.result.json: cannot be read as an export",
        ),
        ("dev.result.json", '{"messages": []}', "window dev/w0 names message 1"),
    ],
)
async def test_bad_folders_are_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    """A malformed file is an error that names it."""
    folder(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationDataError, match=said):
        await evaluate(tmp_path, PlannedEngine(Extraction()))


async def test_predictions_that_cannot_be_written_are_told_before_anything_is_read(
    tmp_path: Path,
) -> None:
    """Who waits for a model learns at once that its answers have no place, and of which file."""
    read: list[str] = []
    nowhere = tmp_path / "nowhere" / "predictions.jsonl"
    with pytest.raises(EvaluationDataError, match=r"nowhere/predictions\.jsonl: cannot be written"):
        await evaluate(
            folder(tmp_path),
            PlannedEngine(Extraction()),
            nowhere,
            progress=lambda number, total, name: read.append(name),
        )
    assert read == []


async def test_labels_that_are_no_text_are_named(tmp_path: Path) -> None:
    """Labels in another encoding are an error that names their file."""
    folder(tmp_path)
    (tmp_path / "labels" / "extraction.jsonl").write_bytes("чат".encode("cp1251"))
    with pytest.raises(EvaluationDataError, match=r"extraction\.jsonl: cannot be read as text"):
        await evaluate(tmp_path, PlannedEngine(Extraction()))


async def test_progress_names_each_window(tmp_path: Path) -> None:
    """Whoever waits for a slow engine hears which window is being read."""
    said: list[tuple[int, int, str]] = []
    await evaluate(
        folder(tmp_path),
        PlannedEngine(Extraction()),
        progress=lambda number, total, name: said.append((number, total, name)),
    )
    assert said == [(1, 1, "dev/w0")]


async def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    """Without curated windows there is nothing to evaluate."""
    with pytest.raises(EvaluationDataError, match=r"no labels/extraction\.jsonl"):
        await evaluate(tmp_path, PlannedEngine(Extraction()))


def test_what_makes_an_atom_valid() -> None:
    """Known type, fitting title, some content, a confidence within bounds."""
    evidence = (Evidence(1, "x", 0, 1),)
    assert is_valid(AtomDraft("idea", "t", "c", evidence, 1.0))
    assert not is_valid(AtomDraft("gossip", "t", "c", evidence, 1.0))  # type: ignore[arg-type]
    assert not is_valid(AtomDraft("idea", " ", "c", evidence, 1.0))
    assert not is_valid(AtomDraft("idea", "t" * 91, "c", evidence, 1.0))
    assert not is_valid(AtomDraft("idea", "t", "", evidence, 1.0))
    assert not is_valid(AtomDraft("idea", "t", "c", evidence, 1.1))


def test_tallies_add_up() -> None:
    """Adding tallies adds every count and merges the counts by name."""
    total = Tally(windows=1, outcomes={"ok": 1})
    total.add(Tally(windows=2, seconds=0.5, outcomes={"ok": 1, "empty": 1}))
    assert (total.windows, total.seconds, total.outcomes) == (3, 0.5, {"ok": 2, "empty": 1})
