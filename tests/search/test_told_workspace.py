"""What reads many rows is told the workspace: it is not found out for every row, and is no way into another."""

from uuid import UUID, uuid4

import pytest

from services.search import statements, store
from services.search.conditions import NO_FILTER
from services.search.statements import KINDS
from services.search.store import Filter
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, as_search

READS_MANY = ("nearest_exact", "match_listed", "count_all", "facets_of_everything")
SHAPE = (1.2, 0.5, 12, 5)


@pytest.mark.parametrize("name", READS_MANY)
async def test_no_row_is_asked_for_the_setting(desk: Desk, name: str) -> None:
    """The setting that names the workspace must be read once, not parsed for each row that is looked at."""
    generation = desk.library.generation
    text, _ = statements.statement(name, KINDS, None, generation, DIMENSIONS)
    workspace = str(desk.library.workspace)
    async with as_search(desk.library) as connection:
        await connection.execute(f"prepare asked as {text}")
        count = await connection.fetchval(
            "select cardinality(parameter_types) from pg_prepared_statements where name = 'asked'"
        )
        # The filter asks for nothing; of the rest only the workspace matters.
        values = [f"'{workspace}'" if number == 10 else "null" for number in range(1, count + 1)]
        plan = await connection.fetch(f"explain execute asked ({', '.join(values)})")
    lines = [row[0].strip() for row in plan]
    assert any(line.startswith("One-Time Filter") and "current_setting" in line for line in lines)
    asked = [line for line in lines if "current_setting" in line and "One-Time" not in line]
    # Evidence and what was edited are found by the index, under the same security.
    assert not [line for line in asked if line.startswith("Filter")], plan


async def test_another_workspace_is_closed(desk: Desk) -> None:
    """What runs as its owner must give nothing of another workspace than that of the transaction."""
    await add_one_of_each(desk)
    other = uuid4()
    async with as_search(desk.library) as connection:
        await check(connection, desk.library.workspace, 1)
        await connection.execute("select set_config('winnow.workspace_id', $1, true)", str(other))
        await check(connection, desk.library.workspace, 0)


async def test_the_release_before_is_answered(desk: Desk) -> None:
    """Who asks without the workspace, or for all kinds at once, must get the transaction's and no other."""
    await add_one_of_each(desk)
    asked = """
      select (select sum(c.documents)::int from search.count_documents($1::text[], array['crane'::tsquery], 9) c),
        (select count(*) from search.match_documents(
           $1, {none}, 'crane', array['crane'::tsquery], '{{1}}', 1.2, 0.5, 12, 5, 9, 9)),
        (select sum(c.documents)::int from search.count_documents($2::uuid, $1::text[], array['crane'::tsquery], 9) c),
        (select count(*) from search.match_documents(
           $1, {none}, $2, 'crane', array['crane'::tsquery], '{{1}}', 1.2, 0.5, 12, 5, 9, 9)),
        (select count(*) from unnest($1) k cross join search.containing(k, 'crane')),
        (select count(*) from search.live_messages({none})) + (select count(*) from search.live_atoms({none}))
          + (select count(*) from search.live_topics({none})),
        (select count(*) from search.words_like('cran:*', 'cran', 9))"""
    text = asked.format(none=NO_FILTER)
    async with as_search(desk.library) as connection:
        (found,) = await connection.fetch(text, [*KINDS], desk.library.workspace)
        assert [*found.values()] == [3, 3, 3, 3, 3, 3, 1]
        await connection.execute("select set_config('winnow.workspace_id', $1, true)", str(uuid4()))
        (found,) = await connection.fetch(text, [*KINDS], desk.library.workspace)
        assert [*found.values()] == [0, 0, None, 0, 0, 0, 0]


async def add_one_of_each(desk: Desk) -> None:
    """Save a message, an atom and a topic with one word."""
    message = await desk.library.add_message("the harbour crane is repaired")
    await desk.library.add_atom("crane", "repaired", [message])
    await desk.library.add_topic("crane", [message])


async def check(connection: store.Connection, workspace: UUID, expected: int) -> None:
    """Ask each function for what a message, an atom and a topic of the workspace have."""
    word = "'crane'"
    counts = await store.count_documents(connection, workspace, KINDS, [word], 9)
    assert counts == {kind: [expected] for kind in KINDS}
    asked = (word, [word], [1.0], SHAPE, 9, 9)
    found = await store.match_documents(connection, workspace, Filter(), KINDS, *asked)
    assert sorted(each.subject.kind for each in found) == sorted(KINDS * expected)
    assert len(await store.words_like(connection, workspace, "cran", 9)) == expected
    for kind in KINDS:
        containing = "select search.containing($1, $2, $3::text::tsquery)"
        assert len(await connection.fetch(containing, workspace, kind, word)) == expected
