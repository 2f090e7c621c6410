"""Rules that approve, and take their approval back."""

from services.extractor.rules import ApprovalRule
from tests.conftest import Deployment
from tests.extractor.calling import asked, erase
from tests.extractor.saved import change
from tests.extractor.test_merging import DISK, FRIDAY, OTHER_DISK, tell, title
from winnow.types.v1 import types_pb2 as types


async def test_a_rule_approves_what_is_said_often_enough(
    deployment: Deployment,
) -> None:
    """Two messages approve at this confidence; with one gone the approval is taken back, and no person's is touched."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        await tell(knowledge, DISK)
        assert (await knowledge.live())[title(DISK)].state == "proposed"
        _, (second,) = await tell(knowledge, DISK)
        atom = (await knowledge.live())[title(DISK)]
        assert atom.state == "approved"
        shown = (await call("GetAtom", atom_id=str(atom.id))).atom
        assert shown.approved_by_rule
        versions = (await call("ListAtomVersions", atom_id=str(atom.id))).versions
        assert "by rule" in versions[0].reason
        await change(deployment, second, deleted=True)
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].state == "proposed"


async def test_a_rule_takes_back_what_is_no_longer_said_often_enough(
    deployment: Deployment,
) -> None:
    """Whether a person takes the second message's atom out of the merge or its message is erased, one is too few."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        for line, leave in ((DISK, ""), (FRIDAY, "UnmergeAtom")):
            await tell(knowledge, line)
            _, (second,) = await tell(knowledge, line)
            atom = (await knowledge.live())[title(line)]
            assert atom.state == "approved"
            (merged,) = [each for each in await knowledge.atoms() if each.merged_into == atom.id]
            if leave:
                await call(leave, atom_id=str(merged.id))
            else:
                await erase(deployment, second)
            await knowledge.settled()
            (after,) = [each for each in await knowledge.atoms() if each.id == atom.id]
            assert (len(after.messages), after.state) == (1, "proposed"), leave


async def test_a_rule_approves_what_a_person_merged(deployment: Deployment) -> None:
    """Who merges says what is the same, not whether it is right: a rule approves it for both its evidence."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        await tell(knowledge, DISK, OTHER_DISK)
        live = await knowledge.live()
        one, two = live[title(DISK)], live[title(OTHER_DISK)]
        await call("MergeAtoms", atom_id=str(one.id), merged_atom_ids=[str(two.id)])
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].state == "approved"


async def test_a_rule_approves_what_a_person_took_apart(deployment: Deployment) -> None:
    """What was taken out of a merge is approved by rule once it is said often enough by itself."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        await tell(knowledge, DISK, OTHER_DISK)
        live = await knowledge.live()
        one, two = live[title(DISK)], live[title(OTHER_DISK)]
        await call("MergeAtoms", atom_id=str(one.id), merged_atom_ids=[str(two.id)])
        await call("UnmergeAtom", atom_id=str(two.id))
        await tell(knowledge, OTHER_DISK)
        assert (await knowledge.live())[title(OTHER_DISK)].state == "approved"


async def test_no_rule_approves_the_same_as_what_was_rejected(deployment: Deployment) -> None:
    """A person's rejection outlives that person's merge: neither before nor after it does a rule approve the rest."""
    async with asked(deployment, ApprovalRule(0.8, 2)) as (knowledge, call):
        await tell(knowledge, DISK, FRIDAY, OTHER_DISK)
        await tell(knowledge, FRIDAY)
        live = await knowledge.live()
        wrong = live[title(OTHER_DISK)]
        rejected = types.APPROVAL_STATE_REJECTED
        await call("ReviewAtom", atom_id=str(wrong.id), approval_state=rejected)
        merged = live[title(FRIDAY)]
        assert merged.state == "approved"
        await call("MergeAtoms", atom_id=str(merged.id), merged_atom_ids=[str(wrong.id)])
        await knowledge.settled()
        assert (await knowledge.live())[title(FRIDAY)].state == "proposed"
