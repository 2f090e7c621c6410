"""What a language model should read before it answers: the best atoms and messages, unlike each other, in a budget."""

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.common.vectors import Matrix, from_halfvecs
from services.search import store
from services.search.answer import Answer
from services.search.contents import Contents
from services.search.names import Names
from services.search.question import Question
from services.search.ranking import Fused
from services.search.searcher import Searcher
from services.search.store import Row, Subject

Flags = npt.NDArray[np.bool_]

CANDIDATES_MAX: Final = 60
TOKENS_DEFAULT: Final = 2_000
ITEMS_DEFAULT: Final = 20
DIVERSITY_DEFAULT: Final = 0.3
# From here on two texts say the same; short answers such as "yes" all do, and are kept if their words differ.
SAME_COSINE: Final = 0.97
_BYTES_PER_TOKEN: Final = 3
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to read: its number, as it was found, in words, and the messages that it is or comes from."""

    citation: int
    fused: Fused
    text: str
    messages: tuple[UUID, ...]
    tokens: int
    # Where somebody is named: whether it is by them or mentions them.
    concerns_named: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """What to read, and what was left out."""

    items: tuple[Item, ...]
    answer: Answer
    candidates: int
    duplicates: int
    over_budget: int

    @property
    def tokens(self) -> int:
        """The estimate for all items."""
        return sum(item.tokens for item in self.items)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be read, and how much being alike counts against an item."""

    tokens: int = TOKENS_DEFAULT
    items: int = ITEMS_DEFAULT
    diversity: float = DIVERSITY_DEFAULT


async def pack(searcher: Searcher, workspace: UUID, question: Question, budget: Budget) -> Packed:
    """Search, and pack what was found."""
    answer = await searcher.search(workspace, question)
    vectors: dict[Subject, bytes] = {}
    async with searcher.reads.reading(workspace) as connection:
        generation = await searcher.serving.generation(connection, None)
        if generation is not None:
            subjects = [each.subject for each in answer.results]
            vectors = await store.vectors(connection, workspace, generation, subjects)
    # Long texts are compared word by word: in a thread, so that nobody else waits.
    return await asyncio.to_thread(choose, answer, vectors, budget)


def choose(answer: Answer, vectors: Mapping[Subject, bytes], budget: Budget) -> Packed:
    """Take the items one by one: each time the one that is most relevant and least like those taken already.

    Maximal marginal relevance (Carbonell and Goldstein 1998), over the fused scores scaled to 1 at most.
    """
    candidates = list(answer.results)
    likeness = _likeness(candidates, vectors)
    same = _same(candidates, answer.contents, likeness)
    top = max((each.score for each in candidates), default=1.0) or 1.0
    relevance = np.array([each.score / top for each in candidates])
    taken: list[int] = []
    shown: dict[UUID, int] = {}
    left = list(range(len(candidates)))
    items: list[Item] = []
    called = Names.of(answer.lookup.called if answer.lookup else ())
    duplicates = over_budget = spent = 0
    while left and len(items) < budget.items:
        at = max(left, key=lambda i: _marginal(i, taken, relevance, likeness, budget.diversity))
        left.remove(at)
        fused = candidates[at]
        if any(same[at, other] for other in taken) or _is_shown(fused, answer.contents, shown):
            duplicates += 1
            continue
        item = _item(len(items) + 1, fused, answer.contents, shown)
        if spent + item.tokens > budget.tokens:
            over_budget += 1
            continue
        taken.append(at)
        items.append(replace(item, concerns_named=_concerns(item, answer, called)))
        spent += item.tokens
        for message in item.messages:
            shown.setdefault(message, item.citation)
    return Packed(tuple(items), answer, len(candidates), duplicates, over_budget)


def _marginal(
    at: int, taken: Sequence[int], relevance: Matrix, likeness: Matrix, diversity: float
) -> float:
    alike = max((float(likeness[at, other]) for other in taken), default=0.0)
    return (1 - diversity) * float(relevance[at]) - diversity * alike


def _likeness(candidates: Sequence[Fused], vectors: Mapping[Subject, bytes]) -> Matrix:
    """Cosines between candidates, shape (n, n); 0 with what has no vector."""
    known = [i for i, each in enumerate(candidates) if each.subject in vectors]
    likeness = np.zeros((len(candidates), len(candidates)), np.float32)
    if known:
        rows = from_halfvecs([vectors[candidates[i].subject] for i in known])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        likeness[np.ix_(known, known)] = rows @ rows.T
    return likeness


def _same(candidates: Sequence[Fused], contents: Contents, likeness: Matrix) -> Flags:
    """Which candidates say the same, shape (n, n): the same words, or all but the same vector and most words."""
    words = [_words(" ".join(contents.texts(each.subject).values())) for each in candidates]
    same = np.zeros((len(words), len(words)), np.bool_)
    for i, left in enumerate(words):
        for j in range(i):
            near = likeness[i, j] >= SAME_COSINE and _shared(left, words[j]) >= 0.5
            same[i, j] = same[j, i] = near or left == words[j]
    return same


def _shared(left: frozenset[str], right: frozenset[str]) -> float:
    """The share of the words of two texts that both have."""
    both = len(left & right)
    return both / max(1, len(left) + len(right) - both)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _is_shown(fused: Fused, contents: Contents, shown: Mapping[UUID, int]) -> bool:
    """Whether the items so far show it: a message that one of them is from, an atom all of whose words they have."""
    grounds = _grounds(fused.subject, contents)
    if not grounds or not all(each in shown for each in grounds):
        return False
    return _words(" ".join(contents.texts(fused.subject).values())) <= _said(grounds, contents)


def _said(messages: Sequence[UUID], contents: Contents) -> frozenset[str]:
    """The words of messages and of the names of their authors: a content has them before what each said."""
    rows = (contents.messages[each] for each in messages)
    return frozenset().union(*(_words(f"{_author(row)} {row['text']}") for row in rows))


def _grounds(subject: Subject, contents: Contents) -> tuple[UUID, ...]:
    """The messages that a subject is or is grounded in."""
    if subject.kind == "message":
        return (subject.id,)
    return tuple(each["message_id"] for each in contents.evidence[subject.id])


def _item(citation: int, fused: Fused, contents: Contents, shown: Mapping[UUID, int]) -> Item:
    """Word a subject; what items before it show is named by their numbers, and no words stand in it twice."""
    subject = fused.subject
    grounds = _grounds(subject, contents)
    lines = [_line(contents.messages[each]) for each in grounds if each not in shown]
    if subject.kind != "message":
        row = contents.atoms[subject.id]
        heading = [f"{row['type']}: {row['title']}"]
        if not _words(row["content"]) <= _words(row["title"]) | _said(grounds, contents):
            heading.append(row["content"])
        known = sorted({shown[each] for each in grounds if each in shown})
        sources = ["from " + ", ".join(f"[{each}]" for each in known)] if known else []
        lines = [*heading, *lines, *sources]
    text = "\n".join(lines)
    numbered = f"[{citation}] " + text.replace("\n", f"\n[{citation}] ")
    return Item(citation, fused, numbered, grounds, estimated_tokens(numbered))


def _line(row: Row) -> str:
    """Who said what when, on one line, so that no message can look like another item."""
    said = " ".join(row["text"].split())
    return f"{_author(row)}, {row['sent_at']:%Y-%m-%d %H:%M}: {said}"


def _author(row: Row) -> str:
    """The name of who said it, on one line."""
    return " ".join((row["author_name"] or row["author_external_id"] or "?").split())


def _concerns(item: Item, answer: Answer, called: Names) -> bool:
    """Whether who is named wrote an item or a message that it rests on, or one of these mentions who is called so.

    What is forwarded from them is theirs.
    """
    if not called:
        return False
    rows = [answer.contents.messages[each] for each in item.messages]
    authors = answer.lookup.authors if answer.lookup else frozenset()
    origins = [json.loads(row["forwarded_from"]) for row in rows if row["forwarded_from"]]
    if any(row["author_external_id"] in authors for row in rows):
        return True
    if any(origin.get("external_id") in authors for origin in origins):
        return True
    said = [*answer.contents.texts(item.fused.subject).values(), *(row["text"] for row in rows)]
    said += (origin.get("name", "") for origin in origins)
    return any(called.stands_in(text) for text in said)


def estimated_tokens(text: str) -> int:
    """More tokens than most models count: three bytes each."""
    return math.ceil(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)
