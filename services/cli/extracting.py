"""`winnow extract`: read conversations now, or chosen ones again."""

from datetime import datetime

import click

from services.cli.knowledge import MOMENT, ask, set_moment
from services.cli.options import Session, command
from winnow.extractor.v1 import extractor_pb2 as pb


@click.group(invoke_without_command=True)
@click.option("--message", "messages", multiple=True, help="A message's id; may be repeated.")
@click.option("--since", type=MOMENT, help="Messages sent from then on (UTC).")
@click.option("--until", type=MOMENT, help="Messages sent before then (UTC).")
@click.option("--source", default="", help="Only of this source's id.")
@click.option("--dry-run", is_flag=True, help="Only say what would be read and what it would cost.")
@command
async def extract(
    session: Session, messages: tuple[str, ...], since: datetime | None, until: datetime | None,
    source: str, dry_run: bool,
) -> None:  # fmt: skip
    """Read the conversations around chosen messages, again if they were read before.

    \b
      winnow extract --since 2026-01-01 --dry-run   what a year would cost
      winnow extract --message ID                   one message, with its window
      winnow extract now                            what waits in open windows
    """
    if click.get_current_context().invoked_subcommand:
        return
    if not (messages or since or until or source):
        raise click.UsageError("say what to read: --message, --since, --until or --source, or now")
    request = pb.ExtractMessagesRequest(message_ids=messages, source_id=source, dry_run=dry_run)
    set_moment(request, "since", since)
    set_moment(request, "until", until)
    response = await ask(session, "ExtractMessages", request)
    if session.as_json:
        session.print_message(response)
    else:
        session.console.print(said(response, dry_run))


def said(response: pb.ExtractMessagesResponse, dry_run: bool) -> str:
    """What is read, and what it costs, in one line."""
    basis = f"by {response.runs_measured} runs" if response.runs_measured else "by text lengths"
    would = "would be read" if dry_run else "are being read"
    return (
        f"{response.messages} messages chosen; {response.windows} windows {would}, {response.windows_noise} hold "
        f"noise alone: {response.messages_read} messages, about {response.tokens_estimated} tokens and "
        f"{response.seconds_estimated:.1f} s in one process, {basis}"
    )


@extract.command("now")
@click.option("--source", default="", help="Only of this source's id.")
@command
async def extract_now(session: Session, source: str) -> None:
    """Read what waits in open windows now, without waiting for the conversations to pause."""
    response = await ask(session, "ExtractNow", pb.ExtractNowRequest(source_id=source))
    if session.as_json:
        session.print_message(response)
    elif response.conversations:
        session.console.print(f"{response.conversations} conversations are being read")
    else:
        session.console.print("nothing waits to be read")
