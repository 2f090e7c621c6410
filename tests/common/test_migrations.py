"""The schema is made once, by one process at a time, never changed afterwards, and lets nobody do too much."""

import asyncio
import importlib
import re
import shutil
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.common import sql
from services.common.addresses import NAMES
from services.common.database import Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable, InvalidSetting
from services.common.migrations import SCHEMA_DIRECTORY, migrate, read
from services.common.vectors import of_segments
from services.search.statements import statement
from tests.conftest import Deployment, free_port

SERVICES = SCHEMA_DIRECTORY.parents[1]
_COMMENT = re.compile(r"--.*")
# Names that are made up when a statement runs have a % in them.
_INDEX = re.compile(
    r"create (?:unique )?index (?:concurrently )?(?:if not exists )?(?P<name>\w+) on (?P<table>[\w.]+)"
    r"|drop index (?:if exists )?(?P<dropped>[\w.]+)",
    re.IGNORECASE,
)
OURS = "('spine', 'ingest', 'extractor', 'embedder', 'search')"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may spoil."""
    return Path(shutil.copytree(SCHEMA_DIRECTORY, tmp_path / "schema"))


async def test_a_fresh_database_gets_everything_once(empty_url: str) -> None:
    """The first run applies every file in order, the second nothing."""
    first = [migration.version for migration in await migrate(empty_url)]
    assert first == list(range(1, len(read()) + 1))
    assert await migrate(empty_url) == []


async def test_every_index_that_is_named_exists(deployment: Deployment) -> None:
    """No index may go unnoticed with a column or a table: all that migrations make and do not drop must be there."""
    expected: dict[str, str] = {}
    for migration in read():
        text = _COMMENT.sub("", migration.sql)
        for match in _INDEX.finditer(text):
            if match["dropped"]:
                expected.pop(match["dropped"].rpartition(".")[2], None)
            else:
                expected[match["name"]] = match["table"]
    assert len(expected) > 30
    rows = await deployment.admin.fetch(
        f"""select c.relname as name, i.indrelid::regclass::text as table from pg_index i
            join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in {OURS} and i.indisvalid and i.indisready"""
    )
    there = {row["name"]: row["table"] for row in rows}
    assert {name: there.get(name) for name in expected} == expected


async def test_no_workspace_stays_unknown_for_long(deployment: Deployment) -> None:
    """Every table that workspaces share is analyzed after as many changes however large it is, new generations, too."""
    await deployment.admin.execute(
        "select embedder.open_generation('m', repeat('0', 64), 8, 'mean', '', '')"
    )
    rows = await deployment.admin.fetch(
        f"""select c.oid::regclass::text as name, c.reloptions as options from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
            where n.nspname in {OURS} and c.relkind = 'r'"""
    )
    assert {"ingest.message", "spine.task", "extractor.atom"} <= {row["name"] for row in rows}
    assert any(row["name"].startswith("embedder.vector_") for row in rows)
    wanted = {"autovacuum_analyze_scale_factor=0", "autovacuum_analyze_threshold=500"}
    assert [row["name"] for row in rows if not wanted <= set(row["options"] or ())] == []


async def test_many_at_once_are_one(empty_url: str) -> None:
    """Of processes that migrate at once one does it, and the others find it done."""
    results = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(len(result) for result in results) == [0, 0, 0, len(read())]


async def test_an_edited_migration_is_refused(empty_url: str, schema: Path) -> None:
    """A file that was changed after it was applied stops the next run, before anything else is done."""
    await migrate(empty_url, schema)
    first, last = schema / "0001_spine.sql", len(read(schema)) + 1
    first.write_text(first.read_text() + "-- changed\n")
    (schema / f"{last:04}_next.sql").write_text("create table public.next ();")
    with pytest.raises(InvalidSetting, match="0001"):
        await migrate(empty_url, schema)
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("select to_regclass('public.next')") is None
    await connection.close()


@pytest.mark.parametrize(
    "wrong", ["select 1/0;", "alter table public.winnow_migration rename to elsewhere;"]
)
async def test_a_failed_migration_leaves_nothing(empty_url: str, schema: Path, wrong: str) -> None:
    """A file is applied whole or not at all, and can be applied once it is mended."""
    last = schema / f"{len(read(schema)) + 1:04}_next.sql"
    last.write_text(f"create table public.next (); {wrong}")
    with pytest.raises(asyncpg.PostgresError):
        await migrate(empty_url, schema)
    last.write_text("create table public.next ();")
    assert [migration.name for migration in await migrate(empty_url, schema)] == ["next"]


async def test_an_older_release_runs_on_a_newer_schema(empty_url: str, schema: Path) -> None:
    """A release that knows fewer migrations than were applied finds nothing to do."""
    (schema / f"{len(read(schema)) + 1:04}_next.sql").write_text("create table public.next ();")
    await migrate(empty_url, schema)
    assert await migrate(empty_url) == []


async def test_what_another_release_migrated_is_told_before(empty_url: str, schema: Path) -> None:
    """Whoever upgrades, or goes back, hears so before anything is changed; a new database is nobody's."""
    told: list[tuple[int, int]] = []

    def tell(known: int, wanted: int) -> None:
        told.append((known, wanted))

    await migrate(empty_url, tell=tell)
    await migrate(empty_url, tell=tell)
    assert told == []
    last = len(read())
    (schema / f"{last + 1:04}_next.sql").write_text("select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_url, schema, tell=tell)
    assert told == [(last, last + 1)]
    (schema / f"{last + 1:04}_next.sql").write_text("select 1;")
    await migrate(empty_url, schema)
    await migrate(empty_url, tell=tell)
    assert told[1:] == [(last + 1, last)]


def _held_back(schema: Path, first: int) -> dict[Path, str]:
    """Take the migrations from a number on out of a copy; return them to be written again."""
    later = {path: path.read_text() for path in schema.glob("*.sql") if int(path.name[:4]) >= first}
    for path in later:
        path.unlink()
    return later


async def test_words_that_were_stored_are_parsed_anew(empty_url: str, schema: Path) -> None:
    """Texts from before the parser's idea of a letter was mended must be found by the words that they have."""
    later, texts = _held_back(schema, 47), ["«даних» п’ятниця", "Vec<int>", "plain words"]
    await migrate(empty_url, schema)
    connection = await asyncpg.connect(empty_url)
    # What a message belongs to is not looked for then.
    await connection.execute("set session_replication_role = replica")
    await connection.executemany(
        """insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
             text_sha256, importance_score, importance_label, importance_factors, importance_version)
           values ($1, $1, $1, 'x', $2, now(), sha256($3), sha256($3), 0, 'weak', '{}', '1')""",
        [(uuid4(), text, text.encode()) for text in texts],
    )
    for path, text in later.items():
        path.write_text(text)
    await migrate(empty_url, schema)
    rows = await connection.fetch(
        "select text, words = spine.words(text) as anew from ingest.message"
    )
    assert {row["text"]: row["anew"] for row in rows} == dict.fromkeys(texts, True)
    await connection.close()


async def test_what_was_spent_before_is_booked(empty_url: str, schema: Path) -> None:
    """The ledger begins with what runs tell, beside what was counted of readings that came to nothing."""
    later, workspace = _held_back(schema, 58), uuid4()
    await migrate(empty_url, schema)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("set session_replication_role = replica")
    await connection.executemany(
        """insert into extractor.run (workspace_id, window_id, task_id, engine, outcome, tokens_in, tokens_out,
             model_calls, duration_seconds, message_count, noise_count, atom_count, created_at)
           values ($1, $1, $1, 'x', 'ok', $2, 1, $3, 1, 1, 0, 0, now() - $4 * interval '1 day')""",
        [(workspace, 100, 1, 0), (workspace, 20, 1, 0), (workspace, 3, 1, 1), (workspace, 0, 0, 0)],
    )
    spent = "insert into extractor.spent values ($1, (now() at time zone 'UTC')::date, 4000, 0, 1)"
    await connection.execute(spent, workspace)
    for path, text in later.items():
        path.write_text(text)
    await migrate(empty_url, schema)
    rows = await connection.fetch(
        "select tokens_in, tokens_out, model_calls from extractor.spent order by day"
    )
    assert [tuple(row) for row in rows] == [(3, 1, 1), (4120, 2, 3)]
    await connection.execute("select set_config('winnow.workspace_id', $1, false)", str(workspace))
    assert await connection.fetchval("select spine.tokens_today($1)", workspace) == 4122
    await connection.close()


async def test_who_gave_titles_before_is_told_by_runs_and_messages(
    empty_url: str, schema: Path
) -> None:
    """Of a topic from before, the windows of its first reading and of its messages are known, and that more may be."""
    later = _held_back(schema, 60)
    workspace, topic, run, first, second = (uuid4() for _ in range(5))
    await migrate(empty_url, schema)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("set session_replication_role = replica")
    await connection.execute(
        """insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256)
           values ($1, $2, $1, 'x', 'x', sha256(''))""",
        workspace,
        topic,
    )
    await connection.execute(
        """insert into extractor.run (workspace_id, id, window_id, task_id, engine, outcome, duration_seconds,
             message_count, noise_count, atom_count)
           values ($1, $2, $3, $1, 'x', 'ok', 1, 1, 0, 0)""",
        workspace,
        run,
        first,
    )
    await connection.execute(
        """insert into extractor.topic_version (workspace_id, topic_id, version, title, run_id)
           values ($1, $2, 1, 'x', $3)""",
        workspace,
        topic,
        run,
    )
    await connection.execute(
        "insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id) values ($1, $2, $1, $3)",
        workspace,
        topic,
        second,
    )
    for path, text in later.items():
        path.write_text(text)
    await migrate(empty_url, schema)
    rows = await connection.fetch("select topic_id, window_id from extractor.title_window")
    assert {tuple(row) for row in rows} == {(topic, first), (topic, second)}
    assert not await connection.fetchval("select is_traced from extractor.topic")
    await connection.close()


@pytest.mark.parametrize("wrong", ["0001_again.sql", "9999_far.sql"])
def test_gaps_and_repeats_are_refused(schema: Path, wrong: str) -> None:
    """Files that are not numbered one by one are refused before anything is touched."""
    (schema / wrong).write_text("select 1;")
    with pytest.raises(InvalidSetting, match="numbered"):
        read(schema)


async def test_a_server_that_is_not_there_is_said_so() -> None:
    """A wrong address is unavailable, a wrong URL a wrong setting."""
    with pytest.raises(DatabaseUnavailable):
        await migrate(f"postgresql://u:p@127.0.0.1:{free_port()}/x")
    with pytest.raises(InvalidSetting, match="--database-url: not a"):
        await migrate("mysql://u:p@127.0.0.1/x", setting="--database-url")


async def test_every_query_is_allowed_and_correct(deployment: Deployment) -> None:
    """Every named query of every service can be prepared under the role of the service."""
    paths = [Path(path) for path in glob(str(SERVICES / "*" / "*.sql"))]
    assert len(paths) >= len(NAMES)
    failed = {}
    for path in paths:
        role = f"winnow_{path.parent.name}"
        async with Database.open(DatabaseSettings.read(), role, size=1) as database:
            for name, text in _queries_of(path).items():
                try:
                    async with database.transaction(deployment.workspace) as connection:
                        await connection.prepare(text)
                except asyncpg.PostgresError as error:
                    failed[role, path.name, name] = str(error)
    assert failed == {}


def _queries_of(path: Path) -> dict[str, str]:
    """The queries of a file as its module completes them; search composes them by kind and generation."""
    names = sql.load(path).keys()
    if path.parent.name == "search":
        queries = {name: statement(name, ("message",), None, uuid4(), 384)[0] for name in names}
        return {name: of_segments(text, ("1", "2")) for name, text in queries.items()}
    module = importlib.import_module(f"services.{path.parent.name}.{path.stem}")
    [found] = (v for v in vars(module).values() if isinstance(v, Mapping) and v.keys() == names)
    places = {"{generation}": str(uuid4()), "{dimensions}": "384"}
    queries = {name: of_segments(text, ("1", "2")) for name, text in found.items()}
    for place, value in places.items():
        queries = {name: text.replace(place, value) for name, text in queries.items()}
    return queries


async def test_functions_with_rights_are_closed(deployment: Deployment) -> None:
    """A function that runs with its owner's rights fixes its search path, and only named roles may call it."""
    rows = await deployment.admin.fetch(
        f"""select p.oid::regprocedure::text as name,
              has_function_privilege('public', p.oid, 'execute') as public,
              coalesce(array_to_string(p.proconfig, ' '), '') as config, o.rolname as owner
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
            where n.nspname in {OURS} and p.prosecdef"""
    )
    assert len(rows) > 15
    assert [row["name"] for row in rows if row["public"]] == []
    # pg_temp must come last, or a caller's temporary objects would be found first.
    wanted = r"search_path=pg_catalog,( public,)? pg_temp( |$)"
    assert await deployment.admin.fetch(
        "select x from unnest($1::text[]) x where x !~ $2", [r["config"] for r in rows], wanted
    ) == []  # fmt: skip
    bound = {"winnow_spine", "winnow_workspace"}
    others = {row["name"].partition("(")[0] for row in rows if row["owner"] not in bound}
    ddl = {"open_generation", "start_generation", "build_index", "drop_generation", "index_state"}
    ddl |= {"is_outgrown"}
    assert others <= {f"embedder.{name}" for name in ddl}


async def test_nobody_can_create_objects(deployment: Deployment) -> None:
    """No service role, and not the login, may create anything in any schema, and none has special rights.

    Only winnow_vectors may, whose part the embedder takes while it builds an index.
    """
    rows = await deployment.admin.fetch(
        """select r.rolname || ': ' || n.nspname from pg_roles r, pg_namespace n
           where r.rolname like 'winnow\\_%' and r.rolname not in ('winnow_spine', 'winnow_vectors')
             and n.nspname !~ '^pg_' and has_schema_privilege(r.oid, n.oid, 'create')"""
    )
    assert rows == []
    rows = await deployment.admin.fetch(
        """select rolname from pg_roles where rolname like 'winnow\\_%'
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolinherit or rolreplication)"""
    )
    assert rows == []


async def test_search_can_only_read(deployment: Deployment) -> None:
    """Search's role may change no row of any table."""
    rows = await deployment.admin.fetch(
        f"""select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in {OURS} and c.relkind in ('r', 'p', 'v')
              and has_table_privilege('winnow_search', c.oid, 'insert, update, delete, truncate')"""
    )
    assert rows == []


def test_two_queries_of_one_name_are_refused(tmp_path: Path) -> None:
    """A name stands for one query."""
    path = tmp_path / "store.sql"
    path.write_text("-- name: a\nselect 1;\n-- name: b\nselect 2;\n")
    assert sql.load(path) == {"a": "select 1", "b": "select 2"}
    path.write_text("-- name: a\nselect 1;\n-- name: a\nselect 2;\n")
    with pytest.raises(ValueError, match="same name"):
        sql.load(path)
