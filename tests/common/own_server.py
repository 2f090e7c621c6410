"""A PostgreSQL that a module of tests has to itself, to change its settings or to kill it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg

from services.common import migrations
from tests.conftest import PASSWORD, TEMPLATE, free_port
from tests.servers import PostgresServer


@contextmanager
def own_server(**settings: object) -> Iterator[PostgresServer]:
    """A running server with the template that `fresh_database` copies."""
    server = PostgresServer(free_port(), PASSWORD, **settings)
    server.start()
    asyncio.run(_make_template(server.url))
    yield server
    server.stop()
    server.remove()


async def _make_template(url: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    await connection.execute(f"create database {TEMPLATE}")
    await migrations.migrate(f"{url}/{TEMPLATE}")
    await connection.execute(f"alter role winnow_app login password '{PASSWORD}'")
    await connection.close()


async def fresh_database(server: PostgresServer) -> str:
    """The owner's URL of a new database."""
    connection = await asyncpg.connect(f"{server.url}/postgres")
    name = f"test_{uuid4().hex}"
    await connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    await connection.close()
    return f"{server.url}/{name}"
