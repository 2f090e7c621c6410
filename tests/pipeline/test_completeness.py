"""Rows = vectors, whatever happens behind the product's back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_scratch
from tests.pipeline.up import Up, export, up

MESSAGES = 450
DELETE_VECTORS = """with gone as (
    delete from embedder.vector where (workspace_id, generation_id, kind, subject_id) in (
      select workspace_id, generation_id, kind, subject_id from embedder.vector where kind = 'message'
      order by subject_id limit 362) returning subject_id)
  delete from spine.task where stage = 'embed' and subject_id in (select subject_id from gone)"""


@pytest.fixture(scope="module")
def quiet() -> Iterator[Up]:
    """A deployment whose reconciliation sleeps, so that only a backfill can mend."""
    with (
        make_scratch() as folder,
        up(
            folder / "data",
            embed_reconcile_seconds="86400",
            window_settle_seconds="1",
            extraction_engine="grounded",
        ) as deployment,
    ):
        deployment.json(
            "import", "telegram", str(export(folder / "result.json", 77, MESSAGES, distinct=15))
        )
        deployment.settled()
        yield deployment


@pytest.mark.timeout(300)
async def test_a_backfill_finds_and_makes_what_is_missing(quiet: Up) -> None:
    """362 vectors deleted with their tasks: a dry run counts them and changes nothing, a backfill makes them."""
    async with quiet.admin() as connection:
        await connection.execute(DELETE_VECTORS)
    assert int(quiet.json("status")["vectors_missing"]) == 362
    assert int(quiet.json("backfill", "--dry-run")["missing_total"]) == 362
    assert int(quiet.json("status")["vectors_missing"]) == 362
    assert int(quiet.json("backfill")["remaining"]) == 0
    assert int(quiet.json("status")["vectors_missing"]) == 0
    assert int(quiet.json("backfill", "--dry-run")["missing_total"]) == 0


@pytest.mark.timeout(300)
async def test_reconciliation_mends_by_itself(scratch: Path) -> None:
    """Without any backfill the deleted vectors come back."""
    with up(
        scratch / "data",
        embed_reconcile_seconds="1",
        window_settle_seconds="1",
        extraction_engine="grounded",
    ) as deployment:
        file = export(scratch / "result.json", 78, MESSAGES, distinct=15)
        deployment.json("import", "telegram", str(file))
        deployment.settled()
        async with deployment.admin() as connection:
            await connection.execute(DELETE_VECTORS)
            count = "select count(*) from embedder.vector where kind = 'message'"
            assert await connection.fetchval(count) == MESSAGES - 362
        deployment.settled()
        async with deployment.admin() as connection:
            assert await connection.fetchval(count) == MESSAGES


async def test_the_same_import_again_changes_nothing(quiet: Up, scratch: Path) -> None:
    """A repeated import reports every message unchanged and writes no row."""
    async with quiet.admin() as connection:
        marks = "select max(xmin::text::bigint), count(*) from ingest.message"
        before = await connection.fetchrow(marks)
        again = quiet.json(
            "import", "telegram", str(export(scratch / "again.json", 77, MESSAGES, distinct=15))
        )
        assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, MESSAGES)
        assert await connection.fetchrow(marks) == before
        text = quiet.winnow("import", "telegram", str(scratch / "again.json")).stdout
        assert "nothing has changed" in text
