"""`winnow audit`: what was done with an admin's rights in the workspace, by whom, and what came of it."""

import json

import click
from rich.table import Table

from services.cli.options import Session, as_dict, command
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

PAGE_MAX = 500


@click.group()
def audit() -> None:
    """Show what was done with an admin's rights."""


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@command
async def audit_list(session: Session, limit: int) -> None:
    """List calls that needed the scope `admin` and commands that manage keys, newest first.

    An empty outcome means that it goes on, or that the process died in it. Texts are shown by their length alone.
    """
    entries = await _read(session, limit)
    if session.as_json:
        session.print_json([_plain(entry) for entry in entries])
        return
    table = Table("when", "who", "from", "what", "asked", "outcome", box=None)
    for entry in entries:
        who = f"{entry.key_prefix} {entry.key_name}".strip() or f"login {entry.login}"
        when = entry.begun_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, who, entry.peer, entry.action, entry.request_json, entry.outcome)
    session.console.print(table if entries else "nothing yet")


async def _read(session: Session, limit: int) -> list[pb.AuditEntry]:
    entries, token = list[pb.AuditEntry](), ""
    while len(entries) < limit:
        size = min(PAGE_MAX, limit - len(entries))
        request = pb.ListAuditEntriesRequest(page_size=size, page_token=token)
        page = await session.call("ingest", PipelineServiceStub, request)
        entries += page.entries
        token = page.next_page_token
        if not token:
            break
    return entries


def _plain(entry: pb.AuditEntry) -> dict[str, object]:
    shown = as_dict(entry)
    shown["request"] = json.loads(shown.pop("request_json"))
    return shown
