"""`winnow audit`: what was done with an admin's rights in the workspace, by whom, and what came of it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from grpc import StatusCode

from services.cli.groups import Group
from services.cli.options import Session, as_dict, command
from services.cli.paging import LIST_MAX, gather, limited, listing, spanned
from services.cli.values import refuse_empty_span, set_moment
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub


@click.group(cls=Group)
def audit() -> None:
    """Show what was done with an admin's rights."""


@audit.command("list")
@click.option("--key", default="", help="Only asked for with this key, by its public part.")
@click.option("--action", default="", help="Only this method or command, such as EraseMessages.")
@click.option(
    "--outcome",
    type=click.Choice([code.name for code in StatusCode], case_sensitive=False),
    help="Only what ended with this status, such as OK.",
)
@spanned("begun")
@limited(LIST_MAX)
@command
async def audit_list(
    session: Session, key: str, action: str, outcome: str | None, after: datetime | None,
    before: datetime | None, limit: int,
) -> None:  # fmt: skip
    """List calls that needed the scope `admin` and commands that manage keys, newest first.

    An empty outcome means that it goes on, or that the process died in it. Texts are shown by their length alone.
    """
    refuse_empty_span(after, before)

    async def page(size: int, token: str) -> Any:
        request = pb.ListAuditEntriesRequest(
            page_size=size,
            page_token=token,
            key_prefix=key,
            action=action,
            outcome=outcome or "",
        )
        set_moment(request, "begun_after", after)
        set_moment(request, "begun_before", before)
        return await session.call("ingest", PipelineServiceStub, request)

    entries, more = await gather(limit, "entries", page)
    if session.as_json:
        session.print_json([_plain(entry) for entry in entries])
    else:
        _show(session, entries)
    if more:
        session.tell_more("--limit shows them")


def _show(session: Session, entries: Sequence[pb.AuditEntry]) -> None:
    table = listing("when", "who", "from", "what", "asked", "outcome", texts=("asked",))
    for entry in entries:
        who = f"{entry.key_prefix} {entry.key_name}".strip() or f"login {entry.login}"
        when = entry.begun_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        what = (entry.peer, entry.action, entry.request_json, entry.outcome)
        table.add_entry(when, who, *what)
    session.console.print(table if entries else "no entries")


def _plain(entry: pb.AuditEntry) -> dict[str, object]:
    shown = as_dict(entry)
    shown["request"] = json.loads(shown.pop("request_json"))
    return shown
