"""What is read of meetings: minutes, plans and proposals, who is heard alone, and what a bot notes."""

import pytest

from services.extractor.extraction import Extraction
from tests.extractor.conversation import ids, talk
from tests.extractor.test_grounded import ENGINE


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[ACTION] petra to ask the hosting company for a second address", "decision"),
        ("#action petra to ask the hosting company for a second address", "decision"),
        ("Action item: petra asks the hosting company for a second address", "decision"),
        ("#agreed the nightly job moves to the smaller cluster", "decision"),
        ("[IDEA] publish the nightly reports as a feed for customers", "idea"),
        ("#info the certificate of the mirror expires in the spring", "insight"),
    ],
)
async def test_a_line_of_the_minutes_stands_alone(said: str, kind: str) -> None:
    """What is entered into the minutes is an atom of its own, whoever is named in it and whatever surrounds it."""
    window = talk(
        "petra: the hosting company has only given us one address so far, the mirror needs two",
        "omar: then somebody has to write to them before the mirror is switched over",
        f"omar: {said}",
        "minutes: ACTION received: whatever was said before",
        "omar: the next matter is the budget of the conference, which nobody has looked at yet",
    )
    atom = next(a for a in (await ENGINE.extract(window)).atoms if 3 in a.message_ids)
    assert (list(atom.message_ids), atom.type) == ([3], kind)
    assert not atom.title.startswith(("[", "#", "Action"))


async def test_in_a_meeting_each_speaker_is_heard_alone() -> None:
    """What several say to a matter of a meeting is no common answer; outside of one it is."""
    lines = (
        "petra: who has looked at the disks of the two mirror machines?",
        "omar: the northern mirror has replaced both disks, the array is still rebuilding",
        "lucia: the southern mirror lost its power supply, the vendor ships a spare one",
    )
    meeting = await ENGINE.extract(talk("petra: #topic state of the mirrors", *lines))
    assert ids(meeting.atoms) == [[2], [3], [4]]
    assert ids((await ENGINE.extract(talk(*lines))).atoms) == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("this week I'm working on the import of old invoices, then the tax reports", "decision"),
        ("I plan to replace the certificates of both mirrors by Friday", "decision"),
        ("I’m going to renew the certificates of both mirrors on Friday", "decision"),
        ("у п’ятницю я буду переносити рахунки до нової бази даних", "decision"),
        ("leave that to me, the mirror's certificate and its renewal script", "decision"),
        ("цього тижня я буду переносити рахунки до нової бази даних", "decision"),
        ("на этой неделе я буду переносить счета в новую базу данных", "decision"),
        ("maybe we should keep the old packages of the mirror for a whole year?", "idea"),
        ("може, варто зберігати старі пакунки дзеркала цілий рік?", "idea"),
        ("will the mirror keep the old packages until the next release?", "question"),
        ("the northern mirror keeps old packages for ninety days, then removes all", "insight"),
    ],
)
async def test_plans_are_decisions_and_proposals_ideas(said: str, kind: str) -> None:
    """Who takes a task or says what they do by when has decided; who proposes in a question has an idea."""
    (atom,) = (await ENGINE.extract(talk(f"ann: {said}"))).atoms
    assert atom.type == kind


async def test_notices_of_a_meeting_bot_give_nothing() -> None:
    """That a meeting began and which commands there are is no knowledge."""
    window = talk(
        "minutes: Meeting started at 13:01. The chair is petra.",
        "minutes: Commands Available: [TOPIC], [IDEA], [ACTION], [AGREED], [LINK], [VOTE]",
    )
    assert await ENGINE.extract(window) == Extraction()
