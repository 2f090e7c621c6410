"""Random calls of two workspaces at once over the same words and vectors: what each may see is known exactly."""

import asyncio
import base64
import binascii
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.message import Message

from tests.conftest import Deployment
from tests.search.library import Library, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

AT_ONCE = 8
# Of different sizes, so that a count tells whose it is.
MESSAGES = (30, 47)
ATOMS = (5, 8)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_QUERIES = ("shared", "words atom", '"shared words"', "sharde", "words -atom", "спільні слова")


@dataclass
class Side:
    """A workspace: how it calls, every id that is its own, and ids to ask about."""

    metadata: tuple[tuple[str, str], ...]
    messages: list[UUID]
    atoms: list[UUID]
    topic: UUID
    source: UUID

    @property
    def ids(self) -> set[str]:
        """Every id that a reply to it may hold."""
        return {str(each) for each in [*self.messages, *self.atoms, self.topic, self.source]}


@dataclass
class Isolation:
    """Two workspaces and a service; makes calls and notes what must not be."""

    stub: SearchServiceStub
    sides: tuple[Side, Side]
    wrong: list[str] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    async def calls(self, count: int, seed: int) -> None:
        """Make so many calls, some at once, so that those of both workspaces follow each other everywhere."""
        dice = random.Random(seed)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with turns:
                await self._call(random.Random(f"{seed} {number}"), number)

        numbers = list(range(count))
        dice.shuffle(numbers)
        await asyncio.gather(*(one(number) for number in numbers))

    async def _call(self, dice: random.Random, number: int) -> None:
        mine = dice.randrange(2)
        side, other = self.sides[mine], self.sides[1 - mine]
        name = dice.choice(list(REQUESTS))
        request = REQUESTS[name](dice, side, other)
        method = getattr(self.stub, name)
        try:
            reply = await method(request, metadata=side.metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                self.wrong.append(f"{number} {name}: {error.code().name} {error.details()}")
            found = set(_ID.findall(str(error.details()))) - _asked(request)
        else:
            found = set(_ids(reply))
            self.answered[name] += 1
            self._check_counts(number, mine, request, reply)
        self.seen["own" if found else "none"] += 1
        if foreign := found - side.ids:
            self.wrong.append(f"{number} {name}: {sorted(foreign)[:3]}")

    def _check_counts(self, number: int, mine: int, request: Message, reply: Message) -> None:
        """A count without words and filter is exactly of the workspace."""
        if isinstance(reply, pb.CountResponse) and request == _everything():
            expected = MESSAGES[mine] + ATOMS[mine]
            if reply.count != expected:
                self.wrong.append(f"{number} Count: {reply.count}, not {expected}")


@asynccontextmanager
async def isolating(deployment: Deployment) -> AsyncIterator[Isolation]:
    """Two workspaces with the same texts and vectors, and search over both."""
    metadata = [deployment.metadata, await deployment.other_workspace()]
    other = await deployment.admin.fetchval(
        "select workspace_id from spine.workspace where name = 'other'"
    )
    workspaces = (deployment.workspace, other)
    sides = [
        await _fill(deployment, workspace, metadata[i], MESSAGES[i], ATOMS[i])
        for i, workspace in enumerate(workspaces)
    ]
    async with deployment.serving("search") as channel:
        yield Isolation(SearchServiceStub(channel), (sides[0], sides[1]))


async def _fill(
    deployment: Deployment,
    workspace: UUID,
    metadata: tuple[tuple[str, str], ...],
    messages: int,
    atoms: int,
) -> Side:
    library = await Library(deployment.admin, workspace).open()
    texts = [f"shared words {i}" for i in range(messages)]
    saved = await library.add_messages(texts, [unit(1, i / 10) for i in range(messages)])
    known = [
        await library.add_atom("shared atom", "words", [each], unit(1)) for each in saved[:atoms]
    ]
    topic = await library.add_topic("shared words", saved)
    return Side(metadata, saved, known, topic, library.source)


# --- requests


def _everything() -> pb.CountRequest:
    return pb.CountRequest()


def _filter(dice: random.Random, side: Side, other: Side) -> pb.SearchFilter | None:
    return dice.choice(
        [
            None,
            pb.SearchFilter(source_ids=[str(other.source)]),
            pb.SearchFilter(source_ids=[str(side.source), str(other.source)]),
            pb.SearchFilter(topic_ids=[str(other.topic)]),
            pb.SearchFilter(labels=[2]),
        ]
    )


def _search(dice: random.Random, side: Side, other: Side) -> pb.SearchRequest:
    return pb.SearchRequest(
        query=dice.choice(_QUERIES),
        mode=dice.choice([0, 1, 2, 3]),
        kinds=dice.choice([[], [1], [2], [1, 2, 3]]),
        query_vector=unit(1, dice.random()).tolist(),
        filter=_filter(dice, side, other),
        page_size=dice.choice([1, 100]),
        neighbours=dice.choice([0, 0, 3]),
        group_by=dice.choice([0, 0, 1, 2]),
        highlight=dice.random() < 0.2,
    )


def _similar(dice: random.Random, side: Side, other: Side) -> pb.FindSimilarRequest:
    asked = dice.choice([side, side, other])
    kind, subjects = dice.choice([(1, asked.messages), (2, asked.atoms)])
    return pb.FindSimilarRequest(
        kind=kind, id=str(dice.choice(subjects)), filter=_filter(dice, side, other), page_size=50
    )


def _count(dice: random.Random, side: Side, other: Side) -> pb.CountRequest:
    if dice.random() < 0.5:
        return _everything()
    return pb.CountRequest(
        query="shared words",
        mode=pb.SEARCH_MODE_KEYWORD,
        filter=_filter(dice, side, other),
    )


REQUESTS: Mapping[str, Callable[[random.Random, Side, Side], Any]] = {
    "Search": _search,
    "BatchSearch": lambda dice, side, other: pb.BatchSearchRequest(
        requests=[_search(dice, side, other) for _ in range(3)]
    ),
    "FindSimilar": _similar,
    "FindDuplicates": lambda dice, side, other: pb.FindDuplicatesRequest(
        kind=1, filter=_filter(dice, side, other), score_min=0.9
    ),
    "Count": _count,
    "Facet": lambda dice, side, other: pb.FacetRequest(
        keys=[dice.choice([k for k in pb.FacetKey.values() if k])],
        among=pb.CountRequest(filter=_filter(dice, side, other)),
    ),
    "PackContext": lambda dice, side, other: pb.PackContextRequest(
        query=dice.choice(_QUERIES),
        query_vector=unit(1, dice.random()).tolist(),
        filter=_filter(dice, side, other),
    ),
}


# --- replies


def _ids(message: Message) -> Iterator[str]:
    """Every id in any text of a reply, in page tokens too."""
    for descriptor, value in message.ListFields():
        for each in value if descriptor.is_repeated else [value]:
            if isinstance(each, Message):
                yield from _ids(each)
            elif isinstance(each, str):
                yield from _ID.findall(each)
                if descriptor.name == "next_page_token":
                    yield from _ids_of_token(each)


def _ids_of_token(token: str) -> list[str]:
    """The last result and group that a token names; its bound on ids, the last one, was made for it and is nobody's."""
    try:
        body = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AssertionError(f"a page token that is none: {token}") from error
    return _ID.findall(body)[:-1]


def _asked(request: Message) -> set[str]:
    """The ids that a caller named itself: that they are not found may be said by name."""
    return set(_ids(request))
