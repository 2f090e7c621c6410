"""Who said something is not what was said: two who tell the same are merged."""

from dataclasses import replace

from services.extractor.extraction import Extraction, Window
from tests.conftest import Deployment
from tests.extractor.known import SayingEngine, knowing
from tests.extractor.saved import say
from tests.extractor.test_merging import DISK, DISK_AGAIN, SMALL_TALK, tell, title


class QuotingEngine(SayingEngine):
    """Says before the words of an atom who said them, as engines do."""

    async def extract(self, window: Window) -> Extraction:
        """Quote the messages."""
        found = await super().extract(window)
        authors = {message.id: message.author for message in window.messages}
        atoms = [
            replace(atom, content=f"{authors[atom.message_ids[0]]}: {atom.content}")
            for atom in found.atoms
        ]
        return replace(found, atoms=tuple(atoms))


async def test_who_said_it_is_not_compared(deployment: Deployment) -> None:
    """Two people, each with a name of several words, tell the same problem: it is one."""
    async with knowing(deployment, engine=QuotingEngine()) as knowledge:
        await tell(knowledge, *SMALL_TALK)
        for line, author in ((DISK, "Olena Petrivna Koval"), (DISK_AGAIN, "Ann van der Berg")):
            await say(deployment, [(author, line)])
            await knowledge.settled()
        assert title(DISK_AGAIN) not in await knowledge.live()
