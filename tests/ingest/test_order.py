"""The same updates, in any order and any number of times, end in the same state."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingest.conftest import Ingest, at, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

_numbers = count()


@dataclass(frozen=True)
class Put:
    """A version of a message; edited None is the original."""

    key: int
    edited: int | None
    text: str
    author: str = ""

    def sent(self) -> pb.MessageInput:
        """The version as it is sent."""
        author = types.Author(name=self.author) if self.author else None
        edited_at = None if self.edited is None else at(10_000 + self.edited)
        return message(self.key, self.text, edited_at=edited_at, author=author)


@dataclass(frozen=True)
class Delete:
    """A deletion."""

    key: int
    moment: int


Update = Put | Delete
keys = st.integers(1, 4)
puts = st.builds(
    Put, keys, st.none() | st.integers(1, 4), st.sampled_from(["", "a", "b"]), st.sampled_from("xy")
)
updates = st.lists(puts | st.builds(Delete, keys, st.integers(1, 3)), min_size=1, max_size=12)


def new_source() -> pb.SourceRef:
    """A source that no other run uses."""
    return pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id=f"order {next(_numbers)}")


async def apply(ingest: Ingest, source: pb.SourceRef, given: Iterable[Update]) -> None:
    """Send updates in order, neighbours of one kind together."""
    for kind, run in groupby(given, key=type):
        together: Sequence[Any] = list(run)
        if kind is Put:
            for start in range(0, len(together), 500):
                batch = [put.sent() for put in together[start : start + 500]]
                await ingest.send(*batch, source=source)
        else:
            for each in together:
                request = pb.DeleteMessagesRequest(
                    source=source, external_ids=[str(each.key)], deleted_at=at(each.moment)
                )
                await ingest.stub.DeleteMessages(request, metadata=ingest.metadata)


async def state(ingest: Ingest, source: pb.SourceRef) -> list[dict[str, Any]]:
    """All that the rows of a source say, but for ids, the time of arrival, and the score in its context."""
    rows = await ingest.rows(
        """select m.* from ingest.message m join ingest.source s on s.id = m.source_id
           where s.external_id = $1 order by m.external_id""",
        source.external_id,
    )
    aside = ("id", "source_id", "received_at")
    return [
        {
            name: value
            for name, value in dict(row).items()
            if name not in aside and not name.startswith("importance_")
        }
        for row in rows
    ]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_updates=updates, data=st.data())
async def test_order_and_repetition_do_not_matter(
    ingest: Ingest, given_updates: list[Update], data: st.DataObject
) -> None:
    """Shuffled and repeated, with edits before originals and deletions before edits, the rows end the same."""
    repeated = given_updates + data.draw(st.lists(st.sampled_from(given_updates)))
    shuffled = data.draw(st.permutations(repeated))
    one, other = new_source(), new_source()
    await apply(ingest, one, given_updates)
    await apply(ingest, other, shuffled)
    assert await state(ingest, one) == await state(ingest, other)


def ten_thousand(dice: random.Random) -> list[Update]:
    """Originals, edits at different times, and deletions."""
    made: list[Update] = []
    for key in range(3000):
        made.append(Put(key, None, f"original {key}"))
        edits = dice.sample(range(1, 101), dice.randint(0, 4))
        made += [Put(key, edited, f"edit {edited}", dice.choice("xy")) for edited in edits]
        if dice.random() < 0.05:
            made.append(Delete(key, dice.randint(1, 9)))
    return made[:10_000]


async def test_ten_thousand_updates(ingest: Ingest) -> None:
    """Thousands of shuffled and doubled updates leave the latest version of every message, and deletions hold."""
    dice = random.Random(11)
    made = ten_thousand(dice)
    source, shuffled = new_source(), [*made, *dice.sample(made, len(made) // 3)]
    dice.shuffle(shuffled)
    # Deletions one by one would make thousands of small batches: they come first, in the middle and last.
    deletions = [each for each in shuffled if isinstance(each, Delete)]
    versions = [each for each in shuffled if isinstance(each, Put)]
    third, half = len(deletions) // 3, len(versions) // 2
    await apply(ingest, source, deletions[:third])
    await apply(ingest, source, versions[:half])
    await apply(ingest, source, deletions[third : 2 * third])
    await apply(ingest, source, versions[half:])
    await apply(ingest, source, deletions[2 * third :])
    latest: dict[str, Put] = {}
    deleted: dict[str, int] = {}
    for each in made:
        key = str(each.key)
        if isinstance(each, Delete):
            deleted[key] = min(each.moment, deleted.get(key, each.moment))
        elif key not in latest or (each.edited or -1) > (latest[key].edited or -1):
            latest[key] = each
    found = await state(ingest, source)
    assert {row["external_id"]: row["text"] for row in found} == {
        key: put.text for key, put in latest.items()
    }
    assert {
        row["external_id"]: int(row["deleted_at"].timestamp()) for row in found if row["deleted_at"]
    } == {key: at(moment).seconds for key, moment in deleted.items()}
