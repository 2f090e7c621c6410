"""Graphs of vectors as the embedder builds them, for tests in which it does not run."""

import asyncpg


async def add_graph(admin: asyncpg.Connection) -> str:
    """Give what is in no graph of the serving generation one; return the name of its index."""
    generation, dimensions, until, since = await admin.fetchrow(
        """select g.id, g.dimensions, pg_snapshot_xmax(pg_current_snapshot())::text as until,
             coalesce((select max(s.until) from embedder.segment s where s.generation_id = g.id), '0')::text as since
           from embedder.generation g where g.state = 'serving'"""
    )
    partition = f"vector_{generation.hex}"
    name = f"{partition}_{until}"
    await admin.execute(
        f"""create index {name} on embedder.{partition}
            using hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
            where written >= '{since}'::xid8 and written < '{until}'::xid8"""
    )
    await admin.execute(
        "insert into embedder.segment values ($1, $2::text::xid8, $3, 1, 16)",
        generation,
        until,
        name,
    )
    return name


async def graphs(admin: asyncpg.Connection) -> dict[str, str]:
    """Where the graphs end, the oldest first, and the names of their indexes."""
    rows = await admin.fetch(
        "select s.until::text as until, s.index_name from embedder.segment s order by s.until"
    )
    return {row["until"]: row["index_name"] for row in rows}
