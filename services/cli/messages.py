"""`winnow messages show`: one message, how far it is, and what rests on it."""

from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.cli.groups import Group
from services.cli.options import Session, as_dict, command
from services.cli.paging import gather
from services.cli.searching import author_of
from services.cli.values import ID, moment, on_one_line, word
from winnow.extractor.v1 import extractor_pb2 as extractor
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.types.v1 import types_pb2 as types

READING = {
    pb.READING_STATE_UNSPECIFIED: "no: in no window of a conversation",
    pb.READING_STATE_OPEN: "not yet: its conversation is read once it pauses",
    pb.READING_STATE_WAITING: "not yet: its window waits",
    pb.READING_STATE_READ: "yes",
}


@click.group("messages", cls=Group)
def messages() -> None:
    """Show one message, how far it is, and what rests on it."""


@messages.command("show")
@click.argument("message_id", type=ID)
@command
async def messages_show(session: Session, message_id: str) -> None:
    """Show a message by the id that `winnow search --json` tells: whether it is saved, scored, embedded and read.

    What is open or failed of the work on it is listed, and the atoms and topics that rest on it.
    """
    asked = ingest.GetMessageRequest(message_id=message_id)
    message = (await session.call("ingest", IngestServiceStub, asked)).message
    state = await session.call(
        "ingest", PipelineServiceStub, pb.GetMessageStateRequest(message_id=message_id)
    )
    atoms = await _atoms(session, state.atom_ids)
    if session.as_json:
        found = {"message": as_dict(message), "state": as_dict(state)}
        session.print_json({**found, "atoms": [as_dict(atom) for atom in atoms]})
        return
    where = on_one_line(message.source_title) or message.source_id
    head = f"{moment(message.sent_at)} {author_of(message)} in {where}"
    session.console.print(Text(head, "bold"), Text(message.text or "(no text)"), sep="\n")
    session.console.print(_figures(message, state))
    for atom in atoms:
        kind = word(types.AtomType, atom.type)
        session.console.print(
            Text.assemble((f"{kind}: ", "green"), atom.title, (f"\n  {atom.id}", "dim"))
        )
    for task in state.tasks:
        told = f"{task.stage}: {word(pb.TaskState, task.state)} since {moment(task.created_at)}"
        failed = f", {task.attempts} attempts, {task.error_class}: {task.error}"
        session.console.print(Text(told + (failed if task.error_class else ""), "yellow"))


async def _atoms(session: Session, ids: Sequence[str]) -> list[types.Atom]:
    """The atoms with these ids, in this order, but for those that are gone meanwhile."""

    async def page(size: int, token: str) -> Any:
        request = extractor.ListAtomsRequest(
            atom_ids=ids, page_size=size, page_token=token, include_messages=True
        )
        return await session.call("extractor", ExtractorServiceStub, request)

    found, _ = await gather(len(ids), "atoms", page)
    by_id = {atom.id: atom for atom in found}
    return [by_id[each] for each in ids if each in by_id]


def _figures(message: types.Message, state: pb.GetMessageStateResponse) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    importance = message.importance
    label = word(types.ImportanceLabel, importance.label)
    embedded = (
        "yes" if state.embedded else "not yet" if state.embeddable else "no: nothing to embed"
    )
    rows = [
        ("id", f"{message.id}, {message.external_id} of source {message.source_id}"),
        ("saved", moment(message.received_at)),
        ("scored", f"{label}, {importance.score:.2f} by {importance.version}"),
        ("embedded", embedded),
        (
            "read",
            READING.get(state.reading_state, word(pb.ReadingState, state.reading_state))
            + (f", window {state.window_id}" * bool(state.window_id)),
        ),
        ("topics", ", ".join(state.topic_ids) or "none"),
        ("atoms", str(len(state.atom_ids))),
    ]
    if message.HasField("edited_at"):
        rows.insert(2, ("edited", moment(message.edited_at)))
    if message.HasField("deleted_at"):
        rows.insert(2, ("deleted", moment(message.deleted_at)))
    for name, text in rows:
        table.add_row(name, escape(text))
    return table
