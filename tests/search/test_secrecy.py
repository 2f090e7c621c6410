"""What is gone, and what is another workspace's, is in no reply whatever is asked: random histories, random calls."""

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
import pytest

from services.common import metrics
from services.search import lookups, semantic, store
from services.search.store import Filter, Subject
from tests.conftest import Deployment
from tests.search.conftest import Desk
from tests.search.library import Library, as_search, sha, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

STEPS = 60
CALLS = 240
ENDS = {
    "message": [
        "update ingest.message set deleted_at = now() where id = $1",
        "update ingest.message set deleted_at = now(), text = '' where id = $1",
    ],
    "atom": [
        "update extractor.atom set approval_state = 'rejected' where id = $1",
        "update extractor.atom set retired_at = now() where id = $1",
        "update extractor.atom set valid_to = now() where id = $1",
    ],
    "topic": ["update extractor.topic set retired_at = now() where id = $1"],
}


@dataclass
class History:
    """A workspace whose subjects come, change and go; every word that must not be seen any more is kept."""

    name: str
    library: Library
    metadata: tuple[tuple[str, str], ...]
    live: dict[UUID, tuple[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    ids: list[UUID] = field(default_factory=list)
    grounds: dict[UUID, UUID] = field(default_factory=dict)
    words: int = 0

    def word(self) -> str:
        """A word that stands nowhere else."""
        self.words += 1
        return f"{self.name}{self.words:04}z"

    def of_kind(self, kind: str) -> list[UUID]:
        """What is live of a kind."""
        return [each for each, (known, _) in self.live.items() if known == kind]

    async def step(self, dice: random.Random) -> None:
        """Something comes, changes or goes."""
        what = dice.choices(("add", "edit", "end"), (6, 1, 3))[0]
        if what == "add" or not self.live:
            await self.add(dice)
        elif what == "edit" and self.of_kind("message"):
            await self.edit(dice.choice(self.of_kind("message")))
        else:
            await self.end(dice)

    async def add(self, dice: random.Random) -> None:
        """Save something with its vector."""
        word, vector = self.word(), unit(1, dice.random())
        text, grounds = f"shared words {word}", self.of_kind("message")
        kind = dice.choice(("message", "message", "atom", "topic")) if grounds else "message"
        if kind == "message":
            subject = await self.library.add_message(text, vector, author_external_id="ann")
        elif kind == "atom":
            ground = dice.choice(grounds)
            subject = await self.library.add_atom(text, "", [ground], vector)
            self.grounds[subject] = ground
        else:
            subject = await self.library.add_topic(text, [dice.choice(grounds)])
            await self.library.add_vectors("topic", [subject], [text], [vector])
        self.live[subject] = (kind, word)
        self.ids.append(subject)

    async def edit(self, message: UUID) -> None:
        """Change a message's words; its vector stays that of the old ones."""
        self.forget_what_rests_on(message)
        self.gone.add(self.live[message][1])
        word = self.word()
        text = f"shared words {word}"
        await self.library.admin.execute(
            "update ingest.message set text = $2, text_sha256 = $3 where id = $1",
            message,
            text,
            sha(text),
        )
        self.live[message] = ("message", word)

    def forget_what_rests_on(self, message: UUID) -> None:
        """An atom says what its message said, though nobody has read again what is left."""
        for atom in [each for each, ground in self.grounds.items() if ground == message]:
            if atom in self.live:
                self.gone.add(self.live.pop(atom)[1])

    async def end(self, dice: random.Random) -> None:
        """Delete, erase, reject, retire or supersede something."""
        subject = dice.choice(sorted(self.live))
        kind, word = self.live.pop(subject)
        self.gone.add(word)
        self.forget_what_rests_on(subject)
        await self.library.admin.execute(dice.choice(ENDS[kind]), subject)


def request(dice: random.Random, mine: History, other: History) -> tuple[str, Any]:
    """Any call, also about what is gone or another's."""
    vector = unit(1, dice.random()).tolist()
    ids = [str(each) for each in dice.sample(mine.ids + other.ids, 3)]
    chosen = dice.choice(
        [
            None,
            pb.FilterExpression(source_ids=pb.IdList(values=[str(other.library.source)])),
            pb.FilterExpression(topic_ids=pb.IdList(values=ids)),
            pb.FilterExpression(
                none_of=pb.FilterExpressionList(
                    expressions=[pb.FilterExpression(labels=pb.LabelList(values=[3]))]
                )
            ),
        ]
    )
    fields: dict[str, Any] = {"filter_expression": chosen}
    words = dice.choice(["shared", '"shared words"', "sharde", *sorted(other.gone | mine.gone)])
    kinds = dice.choice([[], [1], [2], [1, 2, 3]])
    counted = pb.CountRequest(
        query=dice.choice(["", words]), kinds=kinds, query_vector=vector, **fields
    )
    return dice.choice(
        [
            (
                "Search",
                pb.SearchRequest(
                    query=words,
                    mode=dice.choice([0, 1, 2, 3]),
                    kinds=kinds,
                    query_vector=vector,
                    page_size=dice.choice([1, 100]),
                    neighbours=dice.choice([0, 3]),
                    highlight=dice.random() < 0.5,
                    group_by=dice.choice([0, 0, 1, 2]),
                    **fields,
                ),
            ),
            (
                "FindSimilar",
                pb.FindSimilarRequest(kind=dice.choice([1, 2, 3]), id=ids[0], **fields),
            ),
            ("FindDuplicates", pb.FindDuplicatesRequest(score_min=0.5, **fields)),
            ("Count", counted),
            ("Facet", pb.FacetRequest(keys=list(range(1, 11)), among=counted)),
            ("PackContext", pb.PackContextRequest(query=words, query_vector=vector, **fields)),
        ]
    )


@pytest.mark.parametrize(("seed", "plan"), [(1, "exact"), (2, "exact"), (3, "memory")])
async def test_nothing_gone_and_nothing_foreign_is_shown(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, seed: int, plan: str
) -> None:
    """After any history, no reply may hold a word or an id of what is gone, or of another workspace."""
    if plan == "memory":
        for least in ("EXACT_ROWS_MAX", "COMPARED_ROWS_MAX", "COPIED_ROWS_MIN"):
            monkeypatch.setattr(semantic, least, -1)
    searches = searches_by(plan)
    other_metadata = await deployment.other_workspace()
    other = await deployment.admin.fetchval(
        "select workspace_id from spine.workspace where name = 'other'"
    )
    libraries = [
        await Library(deployment.admin, workspace).open()
        for workspace in (deployment.workspace, other)
    ]
    histories = [
        History("mine", libraries[0], deployment.metadata),
        History("theirs", libraries[1], other_metadata),
    ]
    dice = random.Random(seed)
    answered = 0
    async with deployment.serving("search") as channel:
        stub = SearchServiceStub(channel)
        for history in histories:
            await history.add(dice)
            await history.add(dice)
        for number in range(STEPS):
            for history in histories:
                await history.step(dice)
            for _ in range(CALLS // STEPS):
                asker = dice.randrange(2)
                mine, theirs = histories[asker], histories[1 - asker]
                method, asked = request(dice, mine, theirs)
                call = getattr(stub, method)(asked, metadata=mine.metadata, timeout=30)
                code = await call.code()
                if code == grpc.StatusCode.NOT_FOUND and method == "FindSimilar":
                    continue
                assert code == grpc.StatusCode.OK, (method, await call.details())
                reply = await call
                answered += 1
                if isinstance(reply, pb.PackContextResponse):
                    # Words of the question, which the caller knows.
                    reply.ClearField("missing_words")
                    reply.ClearField("named_words")
                shown = str(reply)
                # A warning may repeat what was asked for.
                leaked = [word for word in mine.gone if word in shown]
                assert not leaked, (number, method, leaked, asked)
                assert theirs.name not in shown, (number, method)
        for history in histories:
            reply = await stub.Search(
                pb.SearchRequest(
                    query="shared",
                    mode=pb.SEARCH_MODE_KEYWORD,
                    kinds=[
                        types.SUBJECT_KIND_MESSAGE,
                        types.SUBJECT_KIND_ATOM,
                        types.SUBJECT_KIND_TOPIC,
                    ],
                    page_size=100,
                ),
                metadata=history.metadata,
            )
            assert {text.split()[-1] for text in texts(reply)} == {
                w for _, w in history.live.values()
            }
    assert answered > CALLS / 2
    assert searches_by(plan) > searches + 5


def searches_by(plan: str) -> float:
    """How many searches were answered by a plan."""
    return metrics.REGISTRY.get_sample_value("winnow_searches_total", {"plan": plan}) or 0


async def test_what_ends_while_a_transaction_is_kept_has_ended(desk: Desk) -> None:
    """A transaction is lent to one search after another: each must be told what holds now, not when it began."""
    workspace = desk.library.workspace
    message = await desk.library.add_message("the crane is red")
    atom = await desk.library.add_atom("The crane is red", "", [message])
    asked = Subject("message", message)
    async with as_search(desk.library) as connection:

        async def seen() -> tuple[int, int, int, bool]:
            counts = await lookups.count_all(connection, workspace, Filter(), ("atom",))
            having = await store.count_documents(connection, workspace, ("atom",), ("'crane'",), 9)
            read = await store.atoms(connection, workspace, [atom])
            held = await lookups.settling(connection, workspace, [asked], asked=False)
            return counts["atom"], having["atom"][0], len(read), message in held.ended

        assert await seen() == (1, 1, 1, False)
        ends = "update extractor.atom set valid_to = now() where id = $1"
        await desk.library.admin.execute(ends, atom)
        assert await seen() == (0, 0, 0, True)
