"""What a window only saw is erased as well: a question that an answer quotes, wherever it was asked."""

from uuid import UUID

import pytest

from services.common.database import Database, DatabaseSettings
from services.extractor.erasing import EraseStage
from services.extractor.grounded import GroundedEngine
from services.extractor.subscriptions import ExtractStage
from tests.conftest import Deployment
from tests.extractor.calling import erase
from tests.extractor.known import knowing
from tests.extractor.saved import change, say
from tests.extractor.test_erasing import LIMITS, window_of
from tests.extractor.test_erasing import erase as erased

SECRET = "zanzibar"
FILLING = [
    (f"person{n % 3}", f"I moved chapter {n} of the manual to its new place on the wiki")
    for n in range(35)
]
QUESTION = (
    "ann",
    f"How do I reset the {SECRET} gateway password after the certificate was replaced?",
)
ANSWER = (
    "bob",
    "@ann you can use the command gateway-admin --reset-credentials on db-2, then restart the proxy",
)
OTHER = ("bob", "we decided to keep the nightly backups of db-2 for seven days and not for thirty")


# Windows cut by hand begin and end with their messages.
TIMES = """update extractor.conversation_window c set first_sent_at = m.sent_at, last_sent_at = m.sent_at
  from extractor.window_message w join ingest.message m on m.id = w.message_id where w.window_id = c.id"""


async def places(deployment: Deployment) -> list[str]:
    """Where the word of the question stands in what was made of messages."""
    rows = await deployment.admin.fetch(
        """select 'atom' as place from extractor.atom where title || content ilike $1
           union all select 'version' from extractor.atom_version where title || content ilike $1
           union all select 'topic' from extractor.topic where title ilike $1
           union all select 'topic version' from extractor.topic_version where title ilike $1
           union all select 'quote' from extractor.atom_evidence where quote ilike $1""",
        f"%{SECRET}%",
    )
    return sorted({row["place"] for row in rows})


@pytest.mark.parametrize("before", [[], FILLING])
async def test_an_answer_forgets_an_erased_question(
    deployment: Deployment, before: list[tuple[str, str]]
) -> None:
    """Whether it was asked in the answer's window or in the one before, no word of an erased question is left."""
    async with knowing(deployment, engine=GroundedEngine(), merges=False) as knowledge:
        source, ids = await say(deployment, [*before, QUESTION])
        if before:
            await knowledge.settled()
        await say(deployment, [ANSWER, OTHER], source)
        await knowledge.settled()
        windows = await deployment.admin.fetchval(
            "select count(*) from extractor.conversation_window"
        )
        assert windows == 1 + bool(before)
        quoting = (
            "select count(*) from extractor.atom where content like $1 and content like '%bob:%'"
        )
        assert await deployment.admin.fetchval(quoting, f"«%{SECRET}%") == 1
        others = {a.id for a in await knowledge.atoms() if "nightly backups" in a.title}
        await erase(deployment, ids[-1])
        await knowledge.settled()
        assert await places(deployment) == []
        live = {atom.title: atom.id for atom in await knowledge.atoms() if atom.is_live}
        assert any("gateway-admin" in title for title in live)
        assert others <= set(live.values())


async def test_an_answer_no_longer_quotes_a_deleted_question(deployment: Deployment) -> None:
    """A window that quotes a question of the one before is read again when that is deleted, and no other is."""
    async with knowing(deployment, engine=GroundedEngine(), merges=False) as knowledge:
        source, ids = await say(deployment, [*FILLING, QUESTION])
        await knowledge.settled()
        await say(deployment, [ANSWER, OTHER], source)
        await knowledge.settled()
        shown = "select count(*) from extractor.atom where retired_at is null and content like $1"
        runs = "select count(*) from extractor.run"
        assert await deployment.admin.fetchval(shown, f"«%{SECRET}%") == 1
        await change(deployment, ids[3], deleted=True)
        await knowledge.settled()
        before = await deployment.admin.fetchval(runs)
        await change(deployment, ids[-1], deleted=True)
        await knowledge.settled()
        assert await deployment.admin.fetchval(shown, f"%{SECRET}%") == 0
        assert await deployment.admin.fetchval(runs) == before + 2


async def test_an_answer_quotes_an_edited_question_as_it_is(deployment: Deployment) -> None:
    """A window that quotes a question of the one before is read again when that is edited, and no other is."""
    async with knowing(deployment, engine=GroundedEngine(), merges=False) as knowledge:
        source, ids = await say(deployment, [*FILLING, QUESTION])
        await knowledge.settled()
        await say(deployment, [ANSWER, OTHER], source)
        await knowledge.settled()
        shown = "select count(*) from extractor.atom where retired_at is null and content like $1"
        runs = "select count(*) from extractor.run"
        assert await deployment.admin.fetchval(shown, f"«%{SECRET}%") == 1
        await change(deployment, ids[3], text=f"{FILLING[3][1]} again")
        await knowledge.settled()
        before = await deployment.admin.fetchval(runs)
        await change(deployment, ids[-1], text=QUESTION[1].replace(SECRET, "borneo"))
        await knowledge.settled()
        assert await deployment.admin.fetchval(shown, f"%{SECRET}%") == 0
        assert await deployment.admin.fetchval(shown, "«%borneo%") == 1
        assert await deployment.admin.fetchval(runs) == before + 2


async def test_late_windows_forget_too(deployment: Deployment) -> None:
    """What came late makes small windows in the midst of a long one; all that may have seen the message forget it."""
    async with knowing(deployment, engine=GroundedEngine(), merges=False) as knowledge:
        source, ids = await say(deployment, [QUESTION, *FILLING])
        await knowledge.settled()
        for number in range(4):
            text = (ANSWER[0], f"{ANSWER[1]}, the {number}th way")
            _, (late,) = await say(deployment, [text], source)
            await deployment.admin.execute(
                """update ingest.message set sent_at = (select sent_at from ingest.message where id = $1)
                     + $3 * interval '1 second', reply_to_external_id = '' where id = $2""",
                ids[0],
                late,
                10 * (number + 1),
            )
            await knowledge.settled()
        counted = "select count(*) from extractor.atom where content like $1"
        assert await deployment.admin.fetchval(counted, f"«%{SECRET}%") > 2
        await erase(deployment, ids[0])
        await knowledge.settled()
        assert await places(deployment) == []


async def test_a_reading_that_saw_an_erased_message_is_dropped(deployment: Deployment) -> None:
    """A reading that began before the erasure brings nothing back of what it only saw; the window is read again."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, [QUESTION, ANSWER])
        await window_of(database, deployment, source, ids[:1])
        task = await window_of(database, deployment, source, ids[1:])
        await deployment.admin.execute(TIMES)
        reading = ExtractStage(database, GroundedEngine(), "", LIMITS, lambda: None)
        read = await reading.perform([task])
        assert read[0].value
        assert SECRET in read[0].value.extraction.atoms[0].content
        erasing = EraseStage("version", lambda: None)
        asked = await erasing.perform([await erased(deployment, ids[0])])
        async with database.transaction(workspace) as connection:
            await erasing.write(connection, workspace, asked)
        async with database.transaction(workspace) as connection:
            await reading.write(connection, workspace, read)
    assert await places(deployment) == []
    rows = await deployment.admin.fetch(
        "select subject_id from spine.task where stage = 'extract' and state = 'ready'"
    )
    subjects: set[UUID] = {row["subject_id"] for row in rows}
    assert task.subject in subjects


async def test_a_reading_that_saw_an_edited_message_is_dropped(deployment: Deployment) -> None:
    """A reading that began before a question was edited saves no word of what it was; the window is read again."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, [QUESTION, ANSWER])
        await window_of(database, deployment, source, ids[:1])
        task = await window_of(database, deployment, source, ids[1:])
        await deployment.admin.execute(TIMES)
        reading = ExtractStage(database, GroundedEngine(), "", LIMITS, lambda: None)
        read = await reading.perform([task])
        assert read[0].value
        assert ids[0] in read[0].value.context
        await change(deployment, ids[0], text=QUESTION[1].replace(SECRET, "borneo"))
        async with database.transaction(deployment.workspace) as connection:
            await reading.write(connection, deployment.workspace, read)
    assert await places(deployment) == []
    asked = "select count(*) from spine.task where stage = 'extract' and state = 'ready' and subject_id = $1"
    assert await deployment.admin.fetchval(asked, task.subject) == 1
