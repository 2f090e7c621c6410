"""The measures of retrieval, on data written here."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.common.testing import FakeEncoder
from services.search import evaluation
from services.search.evaluation import EvaluationDataError, JudgedMessage, JudgedQuery, PlainModel

MESSAGES = [
    {"chat": "a", "message_id": 1, "author": "ann", "text": "the deploy failed"},
    {"chat": "a", "message_id": 2, "author": "bob", "text": "rotate the key"},
    {"chat": "b", "message_id": 1, "author": "eve", "text": "deploy on\u2028friday"},
]
QUERIES = [
    {"query": "failed deploy", "chat": "a", "relevant_ids": [1]},
    {"query": "ключ", "chat": "a", "relevant_ids": [2], "lang": "uk"},
]


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    """Write a file of JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / name).write_text("".join(lines), encoding="utf-8")


async def load(messages: Sequence[JudgedMessage]) -> evaluation.Find:
    """Find everything in the order of the chat, and nothing by words."""

    async def find(query: JudgedQuery, mode: str) -> list[int]:
        return [] if mode == "keyword" else [m.message_id for m in messages if m.chat == query.chat]

    return find


async def test_figures_are_overall_by_language_and_by_file(tmp_path: Path) -> None:
    """Every mode must be measured over all queries, by language and by file, beside plain legs."""
    write(tmp_path, "x.messages.jsonl", MESSAGES)
    write(tmp_path, "x.queries.jsonl", QUERIES)
    plain = [PlainModel("fake", FakeEncoder())]
    figures = await evaluation.evaluate(evaluation.read_collections(tmp_path), load, plain)
    second = 1 / math.log2(3)
    assert figures["hybrid_ndcg_at_10"] == pytest.approx((1 + second) / 2, abs=1e-4)
    assert figures["hybrid_recall_at_10"] == 1
    assert figures["hybrid_mrr"] == 0.75
    assert figures["keyword_ndcg_at_10"] == 0
    assert figures["by_language"]["uk"]["semantic_mrr"] == 0.5
    assert figures["by_file"]["x"]["by_language"]["en"]["semantic_ndcg_at_10"] == 1
    assert figures["by_language"]["en"]["plain"]["bm25"]["ndcg_at_10"] == 1
    assert figures["by_language"]["uk"]["plain"]["bm25"]["ndcg_at_10"] == 0
    assert figures["plain"]["fake"]["recall_at_10"] == 1


def test_measures_follow_their_definitions() -> None:
    """Binary gains, ten places, and the first answer's reciprocal rank."""
    ndcg, recall, mrr = evaluation.measure([5, 1, 7, 2], frozenset({1, 2, 3}))
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert (recall, mrr) == (pytest.approx(2 / 3), 0.5)
    assert evaluation.measure([9], frozenset({1})) == (0, 0, 0)


@pytest.mark.parametrize(
    ("queries", "named"),
    [
        (None, "x.queries.jsonl"),
        ("{", "x.queries.jsonl:1"),
        ('{"query": "q", "chat": "a"}', "relevant_ids"),
        ('{"query": "q", "chat": "z", "relevant_ids": [1]}', "chat z"),
        ('{"query": "q", "chat": "a", "relevant_ids": 1}', "x.queries.jsonl:1: relevant_ids"),
        ('{"query": 5, "chat": "a", "relevant_ids": [1]}', "x.queries.jsonl:1: query"),
        ('["query", "chat", "relevant_ids"]', "x.queries.jsonl:1"),
        ('{"query": "q", "chat": "a", "relevant_ids": []}', "no query has relevant_ids"),
        ("", "no query has relevant_ids"),
    ],
)
def test_broken_data_is_named(tmp_path: Path, queries: str | None, named: str) -> None:
    """What is missing or malformed must be named with its file."""
    write(tmp_path, "x.messages.jsonl", MESSAGES)
    if queries is not None:
        (tmp_path / "x.queries.jsonl").write_text(queries)
    with pytest.raises(EvaluationDataError, match=named):
        evaluation.read_collections(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    """A folder without collections must be refused by its name."""
    with pytest.raises(EvaluationDataError, match=str(tmp_path)):
        evaluation.read_collections(tmp_path)
