"""`winnow atoms approve|reject|propose|edit|invalidate`: what a person says of an atom."""

from typing import Any
from uuid import uuid4

import click
from google.protobuf.field_mask_pb2 import FieldMask
from rich.text import Text

from services.cli.knowledge import atom_lines, atoms
from services.cli.options import Session, command
from services.cli.searching import ATOM_TYPES
from services.cli.values import ID, MOMENT, VERSION, number
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

__all__ = ["atoms"]

_reason = click.option("--reason", default="", help="Why, for those who read it later.")
_version = click.option("--version", default=0, type=VERSION, help="The version that is meant.")


def show(session: Session, response: Any) -> None:
    """Print the atom as it is now."""
    if session.as_json:
        session.print_message(response)
    else:
        session.console.print(Text.assemble(*atom_lines(response.atom)))


async def _judge(session: Session, state: int, atom: str, version: int, reason: str) -> None:
    request = pb.ReviewAtomRequest(
        atom_id=atom,
        version=version,
        approval_state=state,  # type: ignore[arg-type]
        reason=reason,
        request_id=str(uuid4()),
    )
    show(session, await session.call("extractor", ExtractorServiceStub, request))


@atoms.command("approve")
@click.argument("atom_id", type=ID)
@_version
@_reason
@command
async def atoms_approve(session: Session, atom_id: str, version: int, reason: str) -> None:
    """Say that an atom is right; no later reading changes it while its messages stand.

    An atom that was rejected or invalidated is live again.
    """
    await _judge(session, types.APPROVAL_STATE_APPROVED, atom_id, version, reason)


@atoms.command("reject")
@click.argument("atom_id", type=ID)
@_version
@_reason
@command
async def atoms_reject(session: Session, atom_id: str, version: int, reason: str) -> None:
    """Say that an atom is not what the messages teach; search leaves it out, for good."""
    await _judge(session, types.APPROVAL_STATE_REJECTED, atom_id, version, reason)


@atoms.command("propose")
@click.argument("atom_id", type=ID)
@_version
@_reason
@command
async def atoms_propose(session: Session, atom_id: str, version: int, reason: str) -> None:
    """Take a judgement back: an atom that was approved or rejected is proposed again, for others to judge.

    An atom that was invalidated is live again.
    """
    await _judge(session, types.APPROVAL_STATE_PROPOSED, atom_id, version, reason)


@atoms.command("edit")
@click.argument("atom_id", type=ID)
@click.option("--type", "atom_type", type=click.Choice(ATOM_TYPES), help="What it should be.")
@click.option("--title", help="One line, at most 200 characters.")
@click.option("--content", help="The knowledge itself, at most 4,000 characters.")
@click.option("--until", type=MOMENT, help="It was true until then (UTC).")
@click.option("--holds", is_flag=True, help="It holds: take an end back.")
@click.option("--version", default=0, type=VERSION, help="The version that you have seen.")
@_reason
@command
async def atoms_edit(
    session: Session, atom_id: str, atom_type: str | None, title: str | None, content: str | None,
    until: Any, holds: bool, version: int, reason: str,
) -> None:  # fmt: skip
    """Change an atom by hand; new words make a version that no later reading changes.

    With --version nothing is changed if somebody else was faster.
    """
    if until and holds:
        raise click.UsageError("--until and --holds exclude each other")
    given = {"type": atom_type, "title": title, "content": content, "valid_to": until or holds}
    mask = [name for name, value in given.items() if value not in (None, False)]
    if not mask:
        raise click.UsageError("say what to change: --type, --title, --content, --until or --holds")
    request = pb.UpdateAtomRequest(
        atom_id=atom_id,
        update_mask=FieldMask(paths=mask),
        version=version,
        type=number(types.AtomType, atom_type),  # type: ignore[arg-type]
        title=title or "",
        content=content or "",
        reason=reason,
        request_id=str(uuid4()),
    )
    if until:
        request.valid_to.FromDatetime(until)
    show(session, await session.call("extractor", ExtractorServiceStub, request))


@atoms.command("invalidate")
@click.argument("atom_id", type=ID)
@_reason
@command
async def atoms_invalidate(session: Session, atom_id: str, reason: str) -> None:
    """Say that an atom was wrong from the start; what was true once is ended by `edit --until`."""
    request = pb.InvalidateAtomRequest(atom_id=atom_id, reason=reason, request_id=str(uuid4()))
    show(session, await session.call("extractor", ExtractorServiceStub, request))
