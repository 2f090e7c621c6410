"""The gauges of a workspace, read a part of its rows at a time: of some million rows one statement takes too long."""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from services.common.database import Database

# How many messages, atoms, topics and vectors are counted in one statement, in some tenths of a second.
COUNTED_MAX: Final = 100_000


async def read_gauges(database: Database, workspace: UUID) -> dict[str, Any]:
    """Return the gauges by name: those of so many rows as of one moment, of more as of one for each part."""
    async with database.connection() as connection:
        query = "select * from spine.gauges_of_work($1)"
        (work,) = await connection.fetch(query, workspace)
    counted, after = Counter[str](), UUID(int=0)
    while after:
        async with database.connection() as connection:
            query = "select * from spine.gauges_of_rows($1, $2, $3)"
            (row,) = await connection.fetch(query, workspace, after, COUNTED_MAX)
        after = row["last"]
        counted.update({name: value for name, value in row.items() if name != "last"})
    return {**work, **counted}
