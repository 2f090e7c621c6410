"""Tables can be split over machines by workspace: the workspace leads every key of every table that has one."""

from tests.conftest import Deployment

# Where a key must be found before its workspace is known, or the row is a workspace itself.
ACROSS = {
    ("spine.api_key", "prefix"),
    ("spine.workspace", "name"),
    ("spine.workspace", "workspace_id"),
}


async def test_the_workspace_leads_every_key(deployment: Deployment) -> None:
    """Each primary and unique key starts with workspace_id, but for those that must be found without one."""
    rows = await deployment.admin.fetch(
        """select i.indrelid::regclass::text as name,
             (select attname from pg_attribute where attrelid = i.indrelid and attnum = i.indkey[0]) as first
           from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
           where (i.indisprimary or i.indisunique) and n.nspname in ('spine', 'ingest', 'extractor', 'embedder')
             and exists (select from pg_attribute a
               where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)"""
    )
    assert len(rows) > 15
    led = {(row["name"], row["first"]) for row in rows if row["first"] != "workspace_id"}
    assert led <= ACROSS
