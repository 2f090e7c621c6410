"""No function of the schema is left behind by who called it."""

import re
from pathlib import Path

import asyncpg

from services.search.statements import KINDS

SERVICES = Path(__file__).parents[2] / "services"
# What its parts must add up to; services take the parts, and tests all of it.
WHOLE = {"spine.gauges"}
# What replicas call that a new release has yet to replace.
BEFORE = {"embedder.is_outgrown"}
# With what calls it: triggers, defaults, policies and the bodies that PostgreSQL has parsed; others are read as text.
FUNCTIONS = """
  select n.nspname as schema, p.proname as name, p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '') as body,
    exists (
      select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and d.objid <> p.oid)
      as is_needed
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('spine', 'ingest', 'extractor', 'embedder', 'search')"""


async def test_every_function_is_called(database_url: str) -> None:
    """By a service, or by something else in the database."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(FUNCTIONS)
    await connection.close()
    files = [
        path for path in SERVICES.rglob("*") if path.suffix in (".py", ".sql") and path.is_file()
    ]
    code = "\n".join(path.read_text() for path in files if path.parent.name != "schema")
    # What is said once for every kind names a function of each.
    code = "\n".join(code.replace("{kind}", kind) for kind in KINDS)
    bodies = {f"{row['schema']}.{row['name']}": row["body"] for row in rows}
    needed = {f"{row['schema']}.{row['name']}" for row in rows if row["is_needed"]}
    uncalled = {
        name
        for name in bodies.keys() - needed
        if not re.search(rf'\b{re.escape(name)}\b|"{name.partition(".")[2]}"', code)
        and not any(re.search(rf"\b{re.escape(name)}\b", b) for n, b in bodies.items() if n != name)
    }
    assert uncalled == WHOLE | BEFORE
