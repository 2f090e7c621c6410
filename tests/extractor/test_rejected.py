"""What was rejected is shown where it is asked for, and counted nowhere."""

from tests.conftest import Deployment
from tests.extractor.calling import asked
from tests.extractor.test_merging import DISK, FRIDAY, tell, title
from winnow.types.v1 import types_pb2 as types

REJECTED = types.APPROVAL_STATE_REJECTED


async def status(deployment: Deployment) -> dict[str, int]:
    """How many atoms and vectors the status counts."""
    row = await deployment.admin.fetchrow(
        "select atoms, vectors, vectors_missing, vectors_stale from spine.gauges($1)",
        deployment.workspace,
    )
    return dict(row)


async def test_what_is_counted_is_what_is_listed(deployment: Deployment) -> None:
    """A topic counts and names the atoms that are listed for it, the status those of all: none is rejected."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, f"[Releases] {FRIDAY}", f"[Releases] {DISK}")
        live = await knowledge.live()
        kept, rejected = str(live[title(FRIDAY)].id), str(live[title(DISK)].id)
        before = await status(deployment)
        await call("ReviewAtom", atom_id=rejected, approval_state=REJECTED)
        (topic,) = (await call("ListTopics")).topics
        shown = await call("GetTopic", topic_id=topic.id)
        listed = (await call("ListAtoms", topic_id=topic.id)).atoms
        assert [atom.id for atom in listed] == list(shown.atom_ids) == [kept]
        assert (topic.atom_count, shown.topic.atom_count) == (1, 1)
        now = await status(deployment)
        assert (now, before["atoms"]) == (before | {"atoms": 1}, 2)
        asked_for = (await call("ListAtoms", approval_state=REJECTED)).atoms
        assert [atom.id for atom in asked_for] == [rejected]
        assert (await call("GetAtom", atom_id=rejected)).atom.approval_state == REJECTED


async def test_what_was_rejected_and_withdrawn_is_listed_as_withdrawn(
    deployment: Deployment,
) -> None:
    """Whoever asks for what was invalidated sees all of it, whatever was said of it before."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, FRIDAY)
        (atom,) = (await call("ListAtoms")).atoms
        await call("ReviewAtom", atom_id=atom.id, approval_state=REJECTED)
        await call("InvalidateAtom", atom_id=atom.id)
        withdrawn = (await call("ListAtoms", only_invalidated=True)).atoms
        assert [each.id for each in withdrawn] == [atom.id]


async def test_no_link_leads_to_what_was_rejected(deployment: Deployment) -> None:
    """Neither an atom nor its surroundings show a link to a rejected one, whose own links can be seen all the same."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, FRIDAY, DISK)
        live = await knowledge.live()
        kept, rejected = str(live[title(FRIDAY)].id), str(live[title(DISK)].id)
        await deployment.admin.execute(
            """insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence)
               values ($1, $2, $3, 'supports', 0.9)""",
            deployment.workspace,
            live[title(FRIDAY)].id,
            live[title(DISK)].id,
        )
        assert (await call("GetAtom", atom_id=kept)).links
        await call("ReviewAtom", atom_id=rejected, approval_state=REJECTED)
        assert not (await call("GetAtom", atom_id=kept)).links
        walked = await call("ListAtomLinks", atom_id=kept, depth=2)
        assert not walked.neighbours
        assert not walked.links
        own = await call("ListAtomLinks", atom_id=rejected, depth=2)
        assert [each.atom.id for each in own.neighbours] == [kept]
        assert list(own.links) == list((await call("GetAtom", atom_id=rejected)).links) != []
