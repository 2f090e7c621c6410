"""Atoms that rest on more than a reply holds."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Deployment
from tests.extractor.saved import TALK, say, settled
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

CLIENT_BYTES_MAX = 4 << 20
TEXTS = 300


@dataclass
class Known:
    """An extractor with atoms that each rest on as many messages as long as can be."""

    deployment: Deployment
    stub: Any
    atoms: list[str]

    async def call(self, method: str, request: Any) -> Any:
        """Call the extractor; what it answers, any client must take."""
        reply = await getattr(self.stub, method)(request, metadata=self.deployment.metadata)
        assert reply.ByteSize() < CLIENT_BYTES_MAX
        return reply


@pytest.fixture
async def known(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Known]:
    """An extractor that has read a conversation, to whose atoms evidence was added."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    async with deployment.serving("extractor") as channel:
        await say(deployment, TALK)
        await settled(deployment)
        _, added = await say(deployment, [("ann", "ok")] * TEXTS)
        await settled(deployment)
        await deployment.admin.execute(
            "update ingest.message set text = repeat('long ', 3270) where id = any ($1)", added
        )
        await deployment.admin.execute(
            """insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
               select a.workspace_id, a.id, m, 100 + n, 'long long', 0
               from extractor.atom a, unnest($1::uuid[]) with ordinality as x (m, n)""",
            added,
        )
        rows = await deployment.admin.fetch("select id from extractor.atom order by id desc")
        assert len(rows) > 1
        yield Known(deployment, ExtractorServiceStub(channel), [str(row["id"]) for row in rows])


async def test_an_atom_says_how_much_it_rests_on(known: Known) -> None:
    """All evidence is there with its words, and the messages of the first."""
    atom = (await known.call("GetAtom", pb.GetAtomRequest(atom_id=known.atoms[0]))).atom
    assert len(atom.evidence) > TEXTS
    assert all(evidence.quote for evidence in atom.evidence)
    with_messages = [evidence.HasField("message") for evidence in atom.evidence]
    assert any(with_messages)
    assert not all(with_messages)


async def test_a_judgement_is_answered(known: Known) -> None:
    """A call that has changed an atom returns it, however much it rests on."""
    request = pb.ReviewAtomRequest(
        atom_id=known.atoms[0], approval_state=types.APPROVAL_STATE_APPROVED
    )
    reply = await known.call("ReviewAtom", request)
    assert reply.atom.approval_state == types.APPROVAL_STATE_APPROVED


async def test_pages_of_atoms_give_every_one_once(known: Known) -> None:
    """Where a reply does not hold the page, it ends early and says where the next begins."""
    copies = """insert into extractor.atom (workspace_id, id, source_id, window_id, type, title, content,
                  text_sha256, confidence, valid_from)
                select a.workspace_id, uuidv7(), a.source_id, a.window_id, a.type, a.title || n, a.content,
                  sha256(n::text::bytea), 1, a.valid_from
                from extractor.atom a, generate_series(1, 3) n where a.id = $1 returning id"""
    made = await known.deployment.admin.fetch(copies, known.atoms[0])
    await known.deployment.admin.execute(
        """insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
           select e.workspace_id, c, e.message_id, e.position, e.quote, e.quote_offset
           from extractor.atom_evidence e, unnest($2::uuid[]) c where e.atom_id = $1""",
        known.atoms[0],
        [row["id"] for row in made],
    )
    found: list[str] = []
    replies, token = 0, ""
    while not found or token:
        request = pb.ListAtomsRequest(page_size=500, include_messages=True, page_token=token)
        reply = await known.call("ListAtoms", request)
        found += [atom.id for atom in reply.atoms]
        replies, token = replies + 1, reply.next_page_token
    expected = [*known.atoms, *(str(row["id"]) for row in made)]
    assert sorted(found) == sorted(expected)
    assert replies > 1


async def test_neighbours_are_shown_as_far_as_a_reply_holds_them(known: Known) -> None:
    """The surest come, with the links among what is shown, and it is said that there are more."""
    start, *_ = known.atoms
    await known.deployment.admin.execute(
        """with made as (
             insert into extractor.atom (workspace_id, id, source_id, window_id, type, title, content,
               text_sha256, confidence, valid_from)
             select a.workspace_id, uuidv7(), a.source_id, a.window_id, a.type, a.title || n, a.content,
               sha256(n::text::bytea), 1, a.valid_from
             from extractor.atom a, generate_series(1, 6) n where a.id = $1
             returning workspace_id, id),
           linked as (
             insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence)
             select m.workspace_id, m.id, $1, 'supports', 0.9 - row_number() over (order by m.id) / 100.0 from made m)
           insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
           select e.workspace_id, m.id, e.message_id, e.position, e.quote, e.quote_offset
           from extractor.atom_evidence e, made m where e.atom_id = $1""",
        start,
    )
    reply = await known.call("ListAtomLinks", pb.ListAtomLinksRequest(atom_id=start))
    shown = {neighbour.atom.id for neighbour in reply.neighbours}
    assert reply.truncated
    assert shown
    assert {end for link in reply.links for end in (link.from_atom_id, link.to_atom_id)} == {
        start,
        *shown,
    }


async def test_the_feed_goes_past_every_change(known: Known) -> None:
    """A change that is large comes as one that any client takes, and what comes after it, too."""
    request = pb.StreamKnowledgeRequest()
    stream = known.stub.StreamKnowledge(request, metadata=known.deployment.metadata)
    seen: set[str] = set()
    async with asyncio.timeout(60):
        while not seen >= set(known.atoms):
            change = await stream.read()
            assert change.ByteSize() < CLIENT_BYTES_MAX
            if change.HasField("atom"):
                seen.add(change.atom.id)
    stream.cancel()
