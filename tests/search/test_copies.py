"""Copies of vectors in memory: they propose, the database decides, and whatever was written since is found as well."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import pytest

from services.common.errors import DatabaseUnavailable
from services.common.vectors import to_halfvecs
from services.search import aims, copying, proposals, semantic
from services.search import copies as module
from services.search.copies import Copies, Copy
from services.search.semantic import Plan
from services.search.store import Filter
from tests.search.copied import MANY, Reader
from tests.search.library import DIMENSIONS, Library, sha, unit


async def test_a_copy_finds_what_everything_compared_finds(reader: Reader) -> None:
    """What a copy gives must be what comparing everything gives, cosines included, of one kind and of several."""
    atom = await reader.library.add_atom("a", "b", [], unit(0, 0, 0, 1))
    await reader.copied()
    kinds = ("message", "atom", "topic")
    for wanted in np.random.default_rng(4).standard_normal((20, DIMENSIONS)).tolist():
        found = await reader.find(*wanted, kinds=kinds)
        async with reader.database.reading(reader.library.workspace) as connection:
            sought = aims.plain(to_halfvecs(unit(*wanted).reshape(1, -1)))
            scope = reader.scope(kinds, Filter())
            truth = await semantic.find_exactly(connection, scope, sought, 10)
        assert (found.plan, found.under_filled) == (Plan.MEMORY, False)
        assert found.nearest == truth
    assert (await reader.find(0, 0, 0, 1, kinds=kinds)).nearest[0].subject.id == atom


async def test_what_is_written_since_is_found_at_once(reader: Reader) -> None:
    """New and changed vectors must be found before a copy knows of them, and it must know of them then."""
    await reader.copied()
    new = await reader.library.add_message("new", unit(1))
    assert (await reader.nearest(1))[0] == new
    assert reader.held == MANY
    await reader.copies.work()
    assert reader.held == MANY + 1
    assert (await reader.nearest(1))[0] == new


async def test_what_was_under_way_is_found(reader: Reader, database_url: str) -> None:
    """What a transaction wrote that began before a copy's snapshot and was committed after it must be found."""
    message = await reader.library.add_message("slow")
    slow = await asyncpg.connect(database_url)
    try:
        writer = Library(slow, reader.library.workspace, reader.library.generation)
        await slow.set_type_codec(
            "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )
        transaction = slow.transaction()
        await transaction.start()
        await writer.add_vectors("message", [message], ["slow"], [unit(1)])
        # Others go on meanwhile, so that the slow one is not the newest.
        await reader.library.add_message("quick", unit(1, 1))
        await reader.copied()
        assert message not in await reader.nearest(1)
        await transaction.commit()
    finally:
        await slow.close()
    assert (await reader.nearest(1))[0] == message
    await reader.copies.work()
    assert (await reader.nearest(1))[0] == message


async def test_what_is_gone_is_not_found(reader: Reader) -> None:
    """What was deleted, changed or taken away since must not be found, and leave its place to others."""
    chosen = [unit(1, i / 100) for i in range(30)]
    ids = await reader.library.add_messages([f"n {i}" for i in range(30)], chosen)
    await reader.copied()
    assert (await reader.nearest(1))[:2] == ids[:2]
    admin = reader.library.admin
    await admin.execute("update ingest.message set deleted_at = now() where id = $1", ids[0])
    await admin.execute(
        "update ingest.message set text = 'x', text_sha256 = $2 where id = $1", ids[1], sha("x")
    )
    await admin.execute("delete from embedder.vector where subject_id = $1", ids[2])
    found = await reader.nearest(1)
    assert len(found) == 10
    assert found[0] == ids[3]


async def test_what_is_gone_leaves_memory(reader: Reader) -> None:
    """A copy must be read again ten minutes after, or within a minute once much of it is gone."""
    await reader.copied()
    admin = reader.library.admin
    oldest = "select subject_id from embedder.vector order by subject_id limit $1"
    await admin.execute(f"delete from embedder.vector where subject_id in ({oldest})", 1)
    for moment, held in ((59, MANY), (61, MANY), (601, MANY - 1)):
        reader.now[0] = moment
        await reader.copies.work()
        await reader.find(1)
        assert reader.held == held, moment
    await admin.execute(f"delete from embedder.vector where subject_id in ({oldest})", 100)
    reader.now[0] = 661
    await reader.copies.work()
    assert reader.held == MANY - 101


async def test_a_copy_nobody_asks_is_given_up(reader: Reader) -> None:
    """Memory must be given back once nobody has asked for a quarter of an hour."""
    await reader.copied()
    reader.now[0] = 890
    await reader.copies.work()
    assert reader.held == MANY
    reader.now[0] = 960
    await reader.copies.work()
    assert reader.held == 0
    assert (await reader.find(1)).plan is Plan.HNSW


async def test_too_much_unknown_is_left_to_the_index(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While more was written than may be compared, the index must answer; the copy must be brought up to date."""
    await reader.copied()
    monkeypatch.setattr(proposals, "FRESH_ROWS_MAX", 5)
    new = await reader.library.add_messages(["a"] * 5, [unit(1)] * 5)
    found = await reader.find(1)
    assert found.plan is Plan.HNSW
    assert {near.subject.id for near in found.nearest[:5]} == {*new}
    await reader.copies.work()
    assert {*(await reader.nearest(1))[:5]} == {*new}
    # More than is followed is read from the beginning.
    monkeypatch.setattr(module, "_FOLLOWED_ROWS_MAX", 5)
    await reader.library.add_messages(["b"] * 7, [unit(0, 1)] * 7)
    await reader.find(1)
    await reader.copies.work()
    assert reader.held == MANY + 12


async def test_a_filter_is_satisfied(reader: Reader) -> None:
    """A filter that leaves some must be satisfied from memory; one that leaves hardly any, by the index."""
    ids = await reader.library.add_messages(
        [f"n {i}" for i in range(20)], [unit(1)] * 20, author_external_id="ann"
    )
    far = await reader.library.add_message("far", unit(-1), author_external_id="bob")
    await reader.copied()
    found = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert found.plan is Plan.MEMORY
    assert {near.subject.id for near in found.nearest} < {*ids}
    assert len(found.nearest) == 10
    # All 321 are looked up, so it is certain that there is no more.
    found = await reader.find(1, chosen=Filter(author_ids=("bob",)))
    assert ([near.subject.id for near in found.nearest], found.plan) == ([far], Plan.MEMORY)


IN_MEMORY = "what the filter leaves is compared in memory"


async def test_what_a_filter_leaves_is_compared_if_it_is_few(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of little that a filter leaves a copy must be asked alone, and of more, though it could be listed, all of it."""
    for author, count in (("ann", 20), ("bob", 200)):
        names, vectors = [f"n {i}" for i in range(count)], [unit(1, i) for i in range(count)]
        await reader.library.add_messages(names, vectors, author_external_id=author)
    await reader.copied()
    limits = {"EXACT_ROWS_MAX": 5_000, "COPIED_ROWS_MIN": 1, "COMPARED_ROWS_MAX": 19}
    listing = {"_LISTED_FOR_COPY": 0, "_LISTED_FOR_LOOKED_UP": 45}
    for name, value in (limits | listing).items():
        monkeypatch.setattr(semantic, name, value)
    few = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert few.reason.startswith(IN_MEMORY)
    assert (few.plan, few.estimated_rows, len(few.nearest)) == (Plan.MEMORY, 20, 10)
    monkeypatch.setattr(semantic, "COMPARED_ROWS_MAX", 20)
    fewer = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert (fewer.plan, fewer.nearest) == (Plan.EXACT, few.nearest)
    more = await reader.find(1, chosen=Filter(author_ids=("bob",)))
    assert not more.reason.startswith(IN_MEMORY)
    assert (more.plan, len(more.nearest)) == (Plan.MEMORY, 10)


async def test_what_is_listed_is_ordered_as_the_database_does(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a filter leaves must come in the order and with the cosines that comparing everything gives.

    Also what has several parts, and what is newer than the copy; not what is gone or has no vector.
    """
    vectors = [*np.random.default_rng(9).standard_normal((150, DIMENSIONS)).astype(np.float32)]
    vectors = [each / np.linalg.norm(each) for each in vectors]
    names = [f"n {i}" for i in range(150)]
    library = reader.library
    ids = await library.add_messages(names, vectors, author_external_id="ann")
    parts = [(ids[i], part) for i in range(0, 60, 2) for part in (1, 2, 3)]
    for at, (message, part) in enumerate(parts):
        await library.admin.execute(
            """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding,
                 source_id, sent_at)
               select workspace_id, generation_id, kind, $1, $2, text_sha256, (
                 select o.embedding from embedder.vector o where o.subject_id = $3 and o.part = 0), source_id, sent_at
               from embedder.vector where subject_id = $1 and part = 0""",
            message,
            part,
            ids[(7 * at) % 150],
        )
    await library.add_message("no vector", author_external_id="ann")
    await reader.copied()
    monkeypatch.setattr(semantic, "EXACT_ROWS_MAX", 5_000)
    monkeypatch.setattr(semantic, "COMPARED_ROWS_MAX", 0)
    gone = "update ingest.message set deleted_at = now() where id = any ($1::uuid[])"
    await library.admin.execute(gone, ids[100:110])
    await library.add_message("new", unit(1, 1), author_external_id="ann")
    chosen, kinds = Filter(author_ids=("ann",)), ("message", "atom", "topic")
    for wanted in (*vectors[:20], unit(1), unit(0, 1)):
        found = await reader.find(*wanted.tolist(), chosen=chosen, kinds=kinds)
        async with reader.database.reading(library.workspace) as connection:
            sought = aims.plain(to_halfvecs(unit(*wanted.tolist()).reshape(1, -1)))
            truth = await semantic.find_exactly(connection, reader.scope(kinds, chosen), sought, 10)
        assert found.reason.startswith(IN_MEMORY)
        assert found.nearest == truth


@pytest.mark.parametrize("chosen", [Filter(), Filter(labels=("weak",), atom_types=("solution",))])
async def test_the_parts_of_a_long_text_take_the_places_of_no_others(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, chosen: Filter
) -> None:
    """What is nearest after a text of many vectors must be found, also if things of another kind fill its place."""
    library = reader.library
    names, vectors = [f"n {i}" for i in range(20)], [unit(1, i / 100) for i in range(20)]
    ids = await library.add_messages(names, vectors)
    for part in range(1, 60):
        await library.add_vectors("message", ids[:1], names[:1], [unit(1)], part=part)
    for i in range(20):
        await library.add_atom(f"a {i}", "b", [], unit(0, 1, i))
    await reader.copied()
    monkeypatch.setattr(semantic, "EXACT_ROWS_MAX", 5_000)
    monkeypatch.setattr(semantic, "COMPARED_ROWS_MAX", 0)
    found = await reader.find(1, chosen=chosen, kinds=("message", "atom"))
    assert found.plan is Plan.MEMORY
    assert found.reason.startswith(IN_MEMORY) is not chosen.is_empty
    assert [near.subject.id for near in found.nearest] == ids[:10]


async def test_more_of_what_is_listed_is_looked_up(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what was looked up is gone, more of what a filter leaves must be, at last all of it."""
    names, vectors = [f"n {i}" for i in range(40)], [unit(1, i / 10) for i in range(40)]
    ids = await reader.library.add_messages(names, vectors, author_external_id="ann")
    await reader.copied()
    monkeypatch.setattr(semantic, "EXACT_ROWS_MAX", 5_000)
    monkeypatch.setattr(semantic, "COMPARED_ROWS_MAX", 0)
    # Changed since, and not embedded anew yet: listed, in the copy, and not to be found by it.
    changed = "update ingest.message set text_sha256 = $2 where id = any ($1::uuid[])"
    await reader.library.admin.execute(changed, ids[:35], sha("changed"))
    monkeypatch.setattr(proposals, "among", lambda limit, rows: (limit, 2 * limit, rows))
    found = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert [near.subject.id for near in found.nearest] == ids[35:]


async def test_what_was_looked_up_is_not_looked_up_again(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a copy proposes must be looked up once, but all of it anew if the copy was asked for more."""
    ids = await reader.library.add_messages(
        [f"n {i}" for i in range(30)], [unit(1, i) for i in range(30)], author_external_id="ann"
    )
    await reader.copied()
    proposed, looked_up = {20: ids[10:], 40: ids}, list[list[UUID]]()

    async def propose(_: object, kinds: object, vector: object, count: int, sure: int) -> object:
        return {"message": proposed[count]}

    async def known(*arguments: Any) -> Any:
        looked_up.append([subject.id for subject in arguments[4]])
        return await nearest_known(*arguments)

    nearest_known = proposals.nearest_known
    monkeypatch.setattr(Copy, "nearest", propose)
    monkeypatch.setattr(proposals, "nearest_known", known)
    monkeypatch.setattr(proposals, "lookups_of", lambda *_: [(20, 4), (20, 8), (40, 40)])
    found = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert looked_up == [ids[10:14], ids[14:18], ids]
    assert [near.subject.id for near in found.nearest] == ids[:10]
    monkeypatch.setattr(proposals, "lookups_of", lambda *_: [(20, 4), (20, 8), (20, 12)])
    found = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert (found.plan, [near.subject.id for near in found.nearest]) == (Plan.MEMORY, ids[10:20])


@pytest.mark.parametrize(("factor", "is_listed"), [(11, True), (9, False)])
async def test_what_is_less_work_is_done(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, factor: int, is_listed: bool
) -> None:
    """All that a filter leaves must be listed if that is less work than to look up enough that satisfies it."""
    names = [f"n {i}" for i in range(60)]
    await reader.library.add_messages(names, [unit(1)] * 60, author_external_id="ann")
    await reader.copied()
    monkeypatch.setattr(semantic, "EXACT_ROWS_MAX", 5_000)
    monkeypatch.setattr(semantic, "COMPARED_ROWS_MAX", 0)
    monkeypatch.setattr(semantic, "COPIED_ROWS_MIN", 0)
    # 62 or 56 of 360 rows.
    monkeypatch.setattr(semantic, "_LISTED_FOR_COPY", 0)
    monkeypatch.setattr(semantic, "_LISTED_FOR_LOOKED_UP", factor)
    found = await reader.find(1, chosen=Filter(author_ids=("ann",)))
    assert (found.reason.startswith(IN_MEMORY), len(found.nearest)) == (is_listed, 10)


async def test_few_that_satisfy_a_filter_are_left_to_the_index(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what is looked up does not hold enough that satisfies a filter, the index must be walked."""
    far = await reader.library.add_message("far", unit(-1), author_external_id="bob")
    await reader.copied()
    monkeypatch.setattr(proposals, "lookups_of", lambda chosen, limit: [(20, 20), (40, 40)])
    found = await reader.find(1, chosen=Filter(author_ids=("bob",)))
    assert found.plan is Plan.HNSW_ITERATIVE
    assert [near.subject.id for near in found.nearest] == [far]


async def test_nothing_is_copied_without_memory(reader: Reader) -> None:
    """With no memory set, searches must walk the index."""
    reader.copies = Copies(reader.database, 0)
    for _ in range(2):
        assert (await reader.find(1)).plan is Plan.HNSW
        await reader.copies.work()


async def test_another_server_is_read_anew(reader: Reader) -> None:
    """A copy of a server that has started anew must be read again: what it knew may have been lost."""
    await reader.copied()
    (copy,) = reader.copies._held.values()
    copy.moment = replace(copy.moment, server=datetime(2020, 1, 1, tzinfo=UTC))
    await reader.library.add_message("new", unit(1))
    await reader.find(1)
    await reader.copies.work()
    (again,) = reader.copies._held.values()
    assert again is not copy
    assert len(again) == MANY + 1


async def test_what_was_restored_is_not_new(reader: Reader) -> None:
    """Numbers of transactions that came with a dump from another server must not pass for those after a snapshot."""
    await reader.library.admin.execute("update embedder.vector set written = '999999999999'")
    await reader.copied()
    new = await reader.library.add_message("new", unit(1))
    assert (await reader.nearest(1))[0] == new
    await reader.copies.work()
    assert reader.held == MANY + 1


async def test_a_database_that_is_away_is_waited_for(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy that cannot be made now must be made later, and the reason be logged."""

    async def away(*_: object) -> int:
        raise DatabaseUnavailable("it is away")

    await reader.find(1)
    with monkeypatch.context() as patched:
        patched.setattr(copying, "count", away)
        await reader.copies.work()
    assert "it is away" in caplog.text
    await reader.copies.work()
    assert (await reader.find(1)).plan is Plan.MEMORY
