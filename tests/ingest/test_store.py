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
