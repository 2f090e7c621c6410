"""Judging, editing and withdrawing atoms, and that no later reading undoes what a person said."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.extractor import knowledge
from services.extractor.extraction import AtomDraft, Evidence, Extraction
from services.extractor.knowledge import Change
from services.extractor.store import atom_sha256
from tests.conftest import Deployment
from tests.extractor.saved import TALK, change, say, settled
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

GENERATION = """insert into embedder.generation (model, digest, dimensions, pooling, state)
                values ('test', repeat('0', 64), 4, 'mean', 'serving')"""


@dataclass
class Reviewing:
    """An extractor that has read a conversation, and the one atom that a test is about."""

    deployment: Deployment
    stub: Any
    messages: list[UUID]
    atom: types.Atom

    async def call(self, method: str, request: Any) -> Any:
        """Call the extractor with the deployment's key."""
        return await getattr(self.stub, method)(request, metadata=self.deployment.metadata)

    async def review(self, state: int, **fields: Any) -> types.Atom:
        """Judge the atom."""
        request = pb.ReviewAtomRequest(atom_id=self.atom.id, approval_state=state, **fields)  # type: ignore[arg-type]
        return (await self.call("ReviewAtom", request)).atom

    async def approve(self, **fields: Any) -> types.Atom:
        """Approve the atom."""
        return await self.review(types.APPROVAL_STATE_APPROVED, **fields)

    async def reject(self, **fields: Any) -> types.Atom:
        """Reject the atom."""
        return await self.review(types.APPROVAL_STATE_REJECTED, **fields)

    async def edit(self, mask: tuple[str, ...] = (), **fields: Any) -> types.Atom:
        """Change the atom."""
        request = pb.UpdateAtomRequest(
            atom_id=self.atom.id, update_mask=FieldMask(paths=mask), **fields
        )
        return (await self.call("UpdateAtom", request)).atom

    async def invalidate(self, **fields: Any) -> types.Atom:
        """Withdraw the atom."""
        request = pb.InvalidateAtomRequest(atom_id=self.atom.id, **fields)
        return (await self.call("InvalidateAtom", request)).atom

    async def listed(self, **filters: Any) -> dict[str, types.Atom]:
        """Atoms by id."""
        found = await self.call("ListAtoms", pb.ListAtomsRequest(page_size=500, **filters))
        return {atom.id: atom for atom in found.atoms}

    async def now(self) -> types.Atom:
        """The atom as it is."""
        return (await self.call("GetAtom", pb.GetAtomRequest(atom_id=self.atom.id))).atom

    async def versions(self) -> list[Any]:
        """Its versions, newest first."""
        request = pb.ListAtomVersionsRequest(atom_id=self.atom.id)
        return list((await self.call("ListAtomVersions", request)).versions)

    def draft(self, title: str, content: str) -> AtomDraft:
        """A draft of the atom's type on its evidence in other words."""
        evidence = tuple(
            Evidence(UUID(e.message_id), e.quote, e.offset, e.offset + len(e.quote))
            for e in self.atom.evidence
        )
        kind: Any = types.AtomType.Name(self.atom.type).removeprefix("ATOM_TYPE_").lower()
        return AtomDraft(kind, title, content, evidence, 0.5)

    async def reread(self, *drafts: AtomDraft, outcome: Any = "ok") -> Change:
        """Read the window again, with an engine that now says this."""
        workspace = self.deployment.workspace
        sent_at = {message: datetime(2026, 1, 5, tzinfo=UTC) for message in self.messages}
        row = await self.deployment.admin.fetchrow(
            "select source_id, window_id from extractor.atom where id = $1", UUID(self.atom.id)
        )
        async with (
            Database.open(DatabaseSettings.read(), "winnow_extractor") as database,
            database.transaction(workspace) as connection,
        ):
            place = (workspace, row["source_id"], row["window_id"], uuid7())
            unread = frozenset(self.messages) if outcome == "invalid" else frozenset()
            said = Extraction(atoms=drafts, outcome=outcome, unread=unread)
            return await knowledge.write(connection, *place, said, sent_at)

    async def embed_specs(self) -> list[str]:
        """What the embedder is asked for the atom: a hash of its text, or gone."""
        rows = await self.deployment.admin.fetch(
            "select spec from spine.task where stage = 'embed' and subject_id = $1 order by id",
            UUID(self.atom.id),
        )
        return [row["spec"].rpartition(":")[2] for row in rows]


@pytest.fixture
async def talk(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reviewing]:
    """A conversation that was read, and its atom about seven days of WAL."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    await deployment.admin.execute(GENERATION)
    async with deployment.serving("extractor") as channel:
        _, messages = await say(deployment, TALK)
        await settled(deployment)
        stub = ExtractorServiceStub(channel)
        found = await stub.ListAtoms(pb.ListAtomsRequest(), metadata=deployment.metadata)
        (atom,) = [a for a in found.atoms if "seven days" in a.content]
        yield Reviewing(deployment, stub, messages, atom)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """How a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value


async def test_a_judgement_is_kept_with_its_reason(talk: Reviewing) -> None:
    """The atom and its version are in the state a person gave them, and it can be taken back."""
    assert (await talk.approve(reason="checked")).approval_state == types.APPROVAL_STATE_APPROVED
    assert (await talk.reject(reason="no longer so")).approval_state == (
        types.APPROVAL_STATE_REJECTED
    )
    (version,) = await talk.versions()
    assert (version.approval_state, version.reason) == (3, "no longer so")
    assert version.HasField("reviewed_at")
    assert list(await talk.listed(approval_state=types.APPROVAL_STATE_REJECTED)) == [talk.atom.id]
    back = await talk.review(types.APPROVAL_STATE_PROPOSED)
    assert back.approval_state == types.APPROVAL_STATE_PROPOSED


async def test_an_edit_is_a_version_of_a_person_with_its_vector(talk: Reviewing) -> None:
    """New words make an approved version whose embedding is asked for; the first version stays readable."""
    title, content = "Keep WAL for a week", "We keep seven days of WAL."
    edited = await talk.edit(title=title, content=content)
    assert (edited.title, edited.content, edited.version) == (title, content, 2)
    assert edited.approval_state == types.APPROVAL_STATE_APPROVED
    assert edited.evidence
    second, first = await talk.versions()
    assert (second.origin, second.run_id) == (pb.ATOM_ORIGIN_PERSON, "")
    assert (first.origin, first.title) == (pb.ATOM_ORIGIN_EXTRACTION, talk.atom.title)
    assert (await talk.embed_specs())[-1] == atom_sha256(title, content).hex()
    again = await talk.edit(title=title)
    assert again.version == 2


async def test_an_end_is_no_version(talk: Reviewing) -> None:
    """What was true until a time ends then and keeps its words, and can be made to hold again."""
    end = Timestamp(seconds=talk.atom.valid_from.seconds + 60)
    ended = await talk.edit(valid_to=end)
    assert (ended.valid_to, ended.version) == (end, 1)
    assert not ended.HasField("invalidated_at")
    assert not (await talk.edit(("valid_to",))).HasField("valid_to")
    early = Timestamp(seconds=talk.atom.valid_from.seconds - 1)
    error = await refused(talk.edit(valid_to=early))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_withdrawn_atom_is_not_live(talk: Reviewing) -> None:
    """It is listed only when asked for, its vectors go, and a judgement in its favour brings all back."""
    assert (await talk.invalidate(reason="a joke")).HasField("invalidated_at")
    assert talk.atom.id not in await talk.listed()
    assert list(await talk.listed(only_invalidated=True)) == [talk.atom.id]
    assert (await talk.embed_specs())[-1] == "gone"
    assert not (await talk.approve()).HasField("invalidated_at")
    assert talk.atom.id in await talk.listed()
    open_specs = await talk.deployment.admin.fetch(
        "select spec from spine.task where subject_id = $1 and stage = 'embed' and state = 'ready'",
        UUID(talk.atom.id),
    )
    sha256 = atom_sha256(talk.atom.title, talk.atom.content).hex()
    assert any(row["spec"].endswith(sha256) for row in open_specs)


async def test_an_end_brings_nothing_back(talk: Reviewing) -> None:
    """Neither an end nor words that stand already revive what was withdrawn; other words, which are approved, do."""
    await talk.invalidate(reason="a joke")
    end = Timestamp(seconds=talk.atom.valid_from.seconds + 60)
    ended = await talk.edit(valid_to=end)
    assert (ended.valid_to, ended.HasField("invalidated_at")) == (end, True)
    assert (await talk.edit(title=talk.atom.title)).HasField("invalidated_at")
    assert talk.atom.id not in await talk.listed()
    assert (await talk.embed_specs())[-1] == "gone"
    reworded = await talk.edit(title="Keep WAL for a week")
    assert reworded.approval_state == types.APPROVAL_STATE_APPROVED
    assert not reworded.HasField("invalidated_at")


async def test_an_end_judges_nothing(talk: Reviewing) -> None:
    """The judgement of a version keeps its reason and its time; that of an end is told where nobody has judged."""
    end = Timestamp(seconds=talk.atom.valid_from.seconds + 60)
    await talk.edit(valid_to=end, reason="we moved")
    (version,) = await talk.versions()
    assert (version.reason, version.HasField("reviewed_at")) == ("we moved", False)
    await talk.reject(reason="never so")
    (judged,) = await talk.versions()
    await talk.edit(valid_to=end, reason="later")
    assert await talk.versions() == [judged]
    assert (judged.reason, judged.approval_state) == ("never so", types.APPROVAL_STATE_REJECTED)
    await talk.edit(title="Keep WAL for a week", reason="in short")
    await talk.edit(valid_to=end)
    reworded, _ = await talk.versions()
    assert (reworded.reason, reworded.HasField("reviewed_at")) == ("in short", True)


async def test_a_reading_leaves_an_edited_atom_alone(talk: Reviewing) -> None:
    """The first words, other words on the same evidence, or silence: a person's version stays the only one."""
    await talk.edit(type=types.ATOM_TYPE_REQUIREMENT, title="Keep WAL for a week")
    edited = await talk.now()
    for drafts in (
        [talk.draft(talk.atom.title, talk.atom.content)],
        [talk.draft("Seven days of WAL are kept", "We decided to keep seven days of WAL.")],
        [],
    ):
        asked = await talk.reread(*drafts)
        now = await talk.now()
        assert (now.title, now.type, now.version) == (edited.title, edited.type, 2)
        assert now.evidence
        assert UUID(talk.atom.id) not in asked.atoms
        found = [a for a in (await talk.listed()).values() if "even days" in a.content]
        assert [a.id for a in found] == [talk.atom.id]


@pytest.mark.parametrize("verdict", ["reject", "invalidate"])
async def test_no_reading_brings_back_what_was_refused(talk: Reviewing, verdict: str) -> None:
    """The same words, other words on the same evidence, silence and then both again: it stays refused."""
    await getattr(talk, verdict)()
    same = talk.draft(talk.atom.title, talk.atom.content)
    other = talk.draft("Seven days of WAL are kept", "We decided to keep seven days of WAL.")
    for drafts in ([same], [other], [], [same], [other]):
        await talk.reread(*drafts)
        assert not [a for a in (await talk.listed()).values() if "even days" in a.content]
        assert (await talk.now()).version == 1


async def test_a_failed_reading_takes_nothing_away(talk: Reviewing) -> None:
    """When the model's answer cannot be read, atoms whose messages stand stay as they are, with their topics."""
    before = await talk.listed()
    await talk.reread(outcome="invalid")
    assert await talk.listed() == before
    await talk.reread(outcome="empty")
    assert not await talk.listed()


async def test_an_approved_atom_follows_an_edited_message(talk: Reviewing) -> None:
    """An approval holds while its quotes stand; when the message says otherwise, a new version is proposed."""
    await talk.approve()
    other = talk.draft("Seven days of WAL are kept", "We decided to keep seven days of WAL.")
    await talk.reread(other)
    assert (await talk.now()).version == 1
    text = "Let's decide: we keep fourteen days of WAL, not thirty."
    await change(talk.deployment, talk.messages[4], text=text)
    await settled(talk.deployment)
    now = await talk.now()
    assert (now.version, now.approval_state) == (2, types.APPROVAL_STATE_PROPOSED)
    assert "fourteen" in now.content


async def test_nothing_outlives_its_messages(talk: Reviewing) -> None:
    """When the messages are deleted, a person's version of what they said goes too, with its quotes."""
    await talk.edit(title="Keep WAL for a week")
    for evidence in talk.atom.evidence:
        await change(talk.deployment, UUID(evidence.message_id), deleted=True)
    await settled(talk.deployment)
    assert talk.atom.id not in await talk.listed()
    quotes = await talk.deployment.admin.fetchval(
        "select count(*) from extractor.atom_evidence where atom_id = $1", UUID(talk.atom.id)
    )
    assert quotes == 0
    assert (await refused(talk.now())).code() == grpc.StatusCode.NOT_FOUND


async def test_quotes_are_found_where_they_move(talk: Reviewing) -> None:
    """A held atom that a reading does not mention keeps its quotes, where they now stand."""
    await talk.edit(title="Keep WAL for a week")
    await talk.deployment.admin.execute(
        "update ingest.message set text = 'So: ' || text where id = $1", talk.messages[4]
    )
    await talk.reread()
    (passage,) = (await talk.now()).evidence
    text, end = passage.message.text, passage.offset + len(passage.quote)
    assert text[passage.offset : end] == passage.quote
    assert passage.offset >= len("So: ")


async def test_a_request_counts_once(talk: Reviewing) -> None:
    """A repeated request changes nothing even after others, and its id cannot serve another."""
    request_id = str(uuid4())
    await talk.reject(request_id=request_id)
    await talk.approve()
    repeated = await talk.reject(request_id=request_id)
    assert repeated.approval_state == types.APPROVAL_STATE_APPROVED
    error = await refused(talk.invalidate(request_id=request_id))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert await talk.deployment.admin.fetchval("select count(*) from extractor.review") == 2


async def test_nobody_overwrites_what_they_have_not_seen(talk: Reviewing) -> None:
    """An edit that names an older version is refused, with the reason for programs."""
    await talk.edit(title="Keep WAL for a week", version=1)
    error = await refused(talk.edit(title="Keep WAL", version=1))
    assert error.code() == grpc.StatusCode.ABORTED
    assert (await talk.now()).title == "Keep WAL for a week"


@pytest.mark.parametrize(
    ("mask", "fields", "named"),
    [
        ((), {}, "update_mask"),
        (("confidence",), {}, "update_mask"),
        (("title",), {}, "title"),
        (("content",), {"content": "  "}, "content"),
        ((), {"content": "\u3000\n", "title": "Keep WAL for a week"}, "content"),
        ((), {"title": " \t", "content": "We keep seven days of WAL."}, "title"),
        (("title",), {"title": "x" * 201}, "title"),
        (("title",), {"title": "a\0b"}, "title"),
        (("valid_to",), {"valid_to": Timestamp(seconds=1 << 60)}, "valid_to"),
    ],
)
async def test_nonsense_is_refused_by_field(
    talk: Reviewing, mask: tuple[str, ...], fields: dict[str, Any], named: str
) -> None:
    """What cannot be stored is refused and named."""
    error = await refused(talk.edit(mask, **fields))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert named in (error.details() or "")


async def test_what_does_not_exist_is_not_found(talk: Reviewing) -> None:
    """Neither a version that never was, nor another workspace's atom."""
    assert (await refused(talk.approve(version=7))).code() == grpc.StatusCode.NOT_FOUND
    other = await talk.deployment.other_workspace()
    request = pb.InvalidateAtomRequest(atom_id=talk.atom.id)
    error = await refused(talk.stub.InvalidateAtom(request, metadata=other))
    assert error.code() == grpc.StatusCode.NOT_FOUND
