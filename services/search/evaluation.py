"""Measuring retrieval: nDCG@10, recall@10 and MRR of every mode, beside plain single legs over single messages."""

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from services.common.errors import UnusableFile
from services.common.vectors import Matrix
from services.search import known_items

RESULTS: Final = 10
# The last is the hybrid search with its legs joined by rank.
MODES: Final = ("semantic", "keyword", "hybrid", "hybrid_by_rank")
# How known items are searched.
KNOWN_MODES: Final = ("keyword", "hybrid")
MEASURES: Final = ("ndcg_at_10", "recall_at_10", "mrr")
_WORD: Final = re.compile(r"\w+")
_KINDS: Final = {str: "text", int: "whole number", list: "list"}


class EvaluationDataError(UnusableFile):
    """The folder to evaluate on lacks a file or holds a malformed one; the message names it."""


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """A message of a chat, in the order of its file."""

    chat: str
    message_id: int
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with the messages of its own chat that answer it."""

    text: str
    chat: str
    relevant: frozenset[int]
    language: str


@dataclass(frozen=True, slots=True)
class Collection:
    """One pair of files."""

    name: str
    messages: tuple[JudgedMessage, ...]
    queries: tuple[JudgedQuery, ...]


# Returns the ids of the best messages of the query's chat, best first, in one of MODES.
Find = Callable[[JudgedQuery, str], Awaitable[Sequence[int]]]
# Makes messages searchable and returns how to search them.
Load = Callable[[Sequence[JudgedMessage]], Awaitable[Find]]


class Encoder(Protocol):
    """A model, as services.common.llama has it."""

    def split_texts(
        self, texts: Sequence[str], prefix: str = ""
    ) -> list[list[npt.NDArray[np.int32]]]:
        """Return the parts of each text."""

    async def encode(
        self, token_lists: Sequence[npt.NDArray[np.int32]], *, urgent: bool = False
    ) -> Matrix:
        """Return a unit vector for each token list."""


@dataclass(frozen=True, slots=True)
class PlainModel:
    """A model to compare with: the cosine of single messages, and nothing else."""

    name: str
    encoder: Encoder
    query_prefix: str = ""
    passage_prefix: str = ""


async def evaluate(
    collections: Sequence[Collection], load: Load, plain_models: Sequence[PlainModel] = ()
) -> dict[str, Any]:
    """Search every judged query in its own chat, and every known item; nothing is fitted on the collections."""
    scores: dict[str, Scores] = defaultdict(Scores)
    known: dict[str, Scores] = {mode: Scores() for mode in KNOWN_MODES}
    for collection in collections:
        find = await load(collection.messages)
        for query in collection.queries:
            for mode in MODES:
                scores[mode].add(collection.name, query, await find(query, mode))
        for query in known_queries(collection):
            for mode in KNOWN_MODES:
                known[mode].add(collection.name, query, await find(query, mode))
        for name, ranked in plain_bm25(collection):
            scores[name].add(collection.name, *ranked)
        for model in plain_models:
            for ranked in await plain_cosine(collection, model):
                scores[model.name].add(collection.name, *ranked)
    return report(scores) | _known_figures(known)


def known_queries(collection: Collection) -> list[JudgedQuery]:
    """Queries for one message each, made of what stands in no other of its chat; their kind stands for a language."""
    chats = _by_chat(collection.messages)
    drawn = known_items.known_items({chat: [m.text for m in chats[chat]] for chat in chats})
    return [
        JudgedQuery(text, chat, frozenset([chats[chat][place].message_id]), kind)
        for kind, chat, place, text in drawn
    ]


class Scores:
    """The measures of every query that was searched in one way."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, tuple[float, float, float]]] = []

    def add(self, collection: str, query: JudgedQuery, ranked: Sequence[int]) -> None:
        """Measure one ranking."""
        self._rows.append((collection, query.language, measure(ranked, query.relevant)))

    def figures(
        self, collection: str | None = None, language: str | None = None
    ) -> dict[str, float]:
        """The means of MEASURES over all queries, or over those of a file or a language."""
        chosen = [
            values
            for name, spoken, values in self._rows
            if collection in (None, name) and language in (None, spoken)
        ]
        means = np.mean(chosen, axis=0) if chosen else np.zeros(len(MEASURES))
        return {name: round(float(mean), 4) for name, mean in zip(MEASURES, means, strict=True)}

    def collections(self) -> list[str]:
        """The files."""
        return sorted({name for name, _, _ in self._rows})

    def languages(self, collection: str | None = None) -> list[str]:
        """The languages, of all files or of one."""
        return sorted({spoken for name, spoken, _ in self._rows if collection in (None, name)})


def report(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """All figures: overall, by language, by file, and those of the plain legs."""
    any_scores = next(iter(scores.values()))
    plain = [name for name in scores if name not in MODES]
    slices: dict[str, dict[str, Any]] = {"by_language": {}, "by_file": {}}
    for language in any_scores.languages():
        slices["by_language"][language] = _figures(scores, plain, language=language)
    for name in any_scores.collections():
        slices["by_file"][name] = _figures(scores, plain, collection=name)
        slices["by_file"][name]["by_language"] = {
            language: _figures(scores, plain, collection=name, language=language)
            for language in any_scores.languages(name)
        }
    return _figures(scores, plain) | slices


def _known_figures(known: Mapping[str, Scores]) -> dict[str, Any]:
    """The reciprocal ranks of known items: in hybrid search over all, then by kind in both modes."""

    def mrr(mode: str, kind: str | None = None) -> float:
        return known[mode].figures(language=kind)["mrr"]

    kinds = known["hybrid"].languages()
    by_kind = {kind: {f"{mode}_mrr": mrr(mode, kind) for mode in KNOWN_MODES} for kind in kinds}
    return {"known_item_mrr": mrr("hybrid"), "known_items": by_kind}


def _figures(
    scores: Mapping[str, Scores],
    plain: Sequence[str],
    *,
    collection: str | None = None,
    language: str | None = None,
) -> dict[str, Any]:
    figures: dict[str, Any] = {
        f"{mode}_{name}": value
        for mode in MODES
        for name, value in scores[mode].figures(collection, language).items()
    }
    figures["plain"] = {name: scores[name].figures(collection, language) for name in plain}
    best = max((each["ndcg_at_10"] for each in figures["plain"].values()), default=0.0)
    figures["hybrid_to_best_plain"] = (
        round(figures["hybrid_ndcg_at_10"] / best, 3) if best else None
    )
    return figures


def measure(ranked: Sequence[int], relevant: frozenset[int]) -> tuple[float, float, float]:
    """Return nDCG@10 with binary gains, recall@10, and the reciprocal rank of the first answer among ten."""
    best = ranked[:RESULTS]
    gains = [1 / math.log2(place + 2) for place in range(RESULTS)]
    ideal = sum(gains[: len(relevant)])
    found = [place for place, message in enumerate(best) if message in relevant]
    return (
        sum(gains[place] for place in found) / ideal,
        len(found) / len(relevant),
        1 / (found[0] + 1) if found else 0.0,
    )


def plain_bm25(collection: Collection) -> Iterator[tuple[str, tuple[JudgedQuery, list[int]]]]:
    """Rank single messages by textbook BM25 (k1 1.2, b 0.75) over case-folded words."""
    chats = _by_chat(collection.messages)
    indexes = {chat: Bm25([m.text for m in messages]) for chat, messages in chats.items()}
    for query in collection.queries:
        ids = [message.message_id for message in chats[query.chat]]
        scores = indexes[query.chat].scores(query.text)
        yield "bm25", (query, [ids[i] for i in _top(scores) if scores[i] > 0])


class Bm25:
    """Textbook BM25 in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(_plain_words(text)) for text in texts]
        self._documents = Counter(word for counts in self._counts for word in counts)
        lengths = np.array([sum(counts.values()) for counts in self._counts], np.float64)
        self._factors = 1.2 * (0.25 + 0.75 * lengths / max(lengths.mean(), 1.0))

    def scores(self, query: str) -> npt.NDArray[np.float64]:
        """Score every text; shape (texts,)."""
        total = np.zeros(len(self._counts))
        for word in set(_plain_words(query)):
            containing = self._documents[word]
            rarity = math.log1p((len(total) - containing + 0.5) / (containing + 0.5))
            occurrences = np.array([counts[word] for counts in self._counts], np.float64)
            total += rarity * 2.2 * occurrences / (occurrences + self._factors)
        return total


async def plain_cosine(
    collection: Collection, model: PlainModel
) -> list[tuple[JudgedQuery, list[int]]]:
    """Rank single messages by the cosine of their first parts with the query."""
    chats = _by_chat(collection.messages)
    passages = {
        chat: await _encode(model.encoder, [m.text for m in messages], model.passage_prefix)
        for chat, messages in chats.items()
    }
    ranked = []
    for query in collection.queries:
        (vector,) = await _encode(model.encoder, [query.text], model.query_prefix)
        ids = [message.message_id for message in chats[query.chat]]
        ranked.append((query, [ids[i] for i in _top(passages[query.chat] @ vector)]))
    return ranked


async def _encode(encoder: Encoder, texts: Sequence[str], prefix: str) -> Matrix:
    firsts = [parts[0] for parts in encoder.split_texts(texts, prefix)]
    batches = [
        await encoder.encode(firsts[start : start + 256]) for start in range(0, len(firsts), 256)
    ]
    return np.concatenate(batches)


def read_collections(data_dir: Path) -> list[Collection]:
    """Read every NAME.messages.jsonl with its NAME.queries.jsonl, in the folder or in its folder `retrieval`.

    Raises EvaluationDataError when there are no such files, or no query in them that a message answers.
    """
    folder = data_dir / "retrieval" if (data_dir / "retrieval").is_dir() else data_dir
    files = sorted(folder.glob("*.messages.jsonl"))
    if not files:
        raise EvaluationDataError(f"{folder}: no *.messages.jsonl")
    collections = [_collection(path) for path in files]
    if not any(collection.queries for collection in collections):
        raise EvaluationDataError(f"{folder}: no query has relevant_ids")
    return collections


def _collection(path: Path) -> Collection:
    name = path.name.removesuffix(".messages.jsonl")
    queries_path = path.with_name(f"{name}.queries.jsonl")
    messages = tuple(
        JudgedMessage(row["chat"], row["message_id"], row.get("author") or "", row["text"])
        for row in _rows(path, {"chat": str, "message_id": int, "text": str})
    )
    queries = tuple(
        JudgedQuery(
            row["query"], row["chat"], frozenset(row["relevant_ids"]), row.get("lang") or "en"
        )
        for row in _rows(queries_path, {"query": str, "chat": str, "relevant_ids": list})
    )
    if missing := {query.chat for query in queries} - {message.chat for message in messages}:
        raise EvaluationDataError(f"{queries_path}: no messages of chat {min(missing)}")
    return Collection(name, messages, tuple(query for query in queries if query.relevant))


def _rows(path: Path, needed: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    try:
        # Not `splitlines`: JSON may hold other ends of lines in its texts.
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise EvaluationDataError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise EvaluationDataError(f"{path}:{number}: not a JSON object") from error
        if not isinstance(row, dict):
            raise EvaluationDataError(f"{path}:{number}: not a JSON object")
        for field, kind in needed.items():
            if field not in row:
                raise EvaluationDataError(f"{path}:{number}: no field {field}")
            if type(row[field]) is not kind:
                raise EvaluationDataError(f"{path}:{number}: {field} is no {_KINDS[kind]}")
        yield row


def _by_chat(messages: Iterable[JudgedMessage]) -> dict[str, list[JudgedMessage]]:
    chats: dict[str, list[JudgedMessage]] = defaultdict(list)
    for message in messages:
        chats[message.chat].append(message)
    return chats


def _plain_words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _top(scores: npt.NDArray[np.floating[Any]]) -> list[int]:
    return [int(i) for i in np.argsort(-scores, kind="stable")[:RESULTS]]
