"""What the command shows of replies that do not hold everything."""

import asyncio
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1 import extractor_pb2_grpc
from winnow.types.v1 import types_pb2 as types

ATOM = "01a226fa-f599-7a01-a38f-598805862fdc"


def grounded() -> types.Atom:
    """An atom of which one message, and of another also the quote, are left out."""
    author = types.Author(name="Ann")
    atom = types.Atom(id=ATOM, type=types.ATOM_TYPE_DECISION, title="We keep seven days")
    atom.evidence.add(message_id="1", quote="whole", message=types.Message(author=author))
    atom.evidence.add(message_id="2", quote="quoted alone")
    atom.evidence.add(message_id="3")
    return atom


class Extractor(extractor_pb2_grpc.ExtractorServiceServicer):
    """Answers with what a reply holds of more."""

    async def GetAtom(self, request: pb.GetAtomRequest, context: Any) -> pb.GetAtomResponse:
        """The atom."""
        return pb.GetAtomResponse(atom=grounded())

    async def ListAtoms(self, request: pb.ListAtomsRequest, context: Any) -> pb.ListAtomsResponse:
        """A page that ends early."""
        return pb.ListAtomsResponse(atoms=[grounded()], next_page_token="next")

    async def ListAtomLinks(
        self, request: pb.ListAtomLinksRequest, context: Any
    ) -> pb.ListAtomLinksResponse:
        """One neighbour of several."""
        neighbour = pb.Neighbour(atom=grounded(), depth=1, confidence=1)
        return pb.ListAtomLinksResponse(neighbours=[neighbour], truncated=True)


async def said(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What the command prints."""
    server = grpc.aio.server()
    extractor_pb2_grpc.add_ExtractorServiceServicer_to_server(Extractor(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_EXTRACTOR_ADDRESS", f"127.0.0.1:{port}")
    result = await asyncio.to_thread(CliRunner().invoke, winnow, arguments)
    await server.stop(None)
    assert result.exit_code == 0, result.output
    return result.output


async def test_an_atom_is_shown_with_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who said it stands where that is known; else the words alone, or the id by which they can be read."""
    shown = await said(monkeypatch, "atoms", "show", ATOM)
    passages = [line.strip() for line in shown.splitlines() if "←" in line]
    assert passages[0].startswith("← Ann ")
    assert passages[1:] == ["← quoted alone", "← message 3"]


async def test_a_list_names_those_whom_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is shown for messages that were left out, and how to go on is said."""
    shown = await said(monkeypatch, "atoms", "list")
    assert "Ann" in shown
    assert "?" not in shown
    assert "--page-token next" in shown


async def test_links_tell_of_those_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours that a reply does not hold are not passed over in silence."""
    assert "there are more: the nearest" in await said(monkeypatch, "atoms", "links", ATOM)
