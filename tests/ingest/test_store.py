"""The queries of ingest."""

import pytest

from services.common.database import Database, DatabaseSettings
from services.ingest.store import QUERIES
from tests.conftest import Deployment


@pytest.mark.parametrize("name", QUERIES)
async def test_queries_are_valid_for_the_role(deployment: Deployment, name: str) -> None:
    """PostgreSQL prepares every query under the role of the service."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        await connection.prepare(QUERIES[name])
        await connection.execute(f"explain (generic_plan) {QUERIES[name]}")


@pytest.mark.parametrize("name", ["language", "words"])
async def test_what_is_computed_of_a_text_needs_no_call(deployment: Deployment, name: str) -> None:
    """The planner puts the expression in place of the function, which called would be planned again for every row."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        query = f"explain (verbose, costs off) select spine.{name}(m.text) from ingest.message m"
        plan = "\n".join(row[0] for row in await connection.fetch(query))
    assert "Output:" in plan
    assert f"spine.{name}(" not in plan
