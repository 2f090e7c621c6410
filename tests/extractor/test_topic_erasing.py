"""What an erasure leaves of topics: titles made of the erased words go, what people called so stays."""

from uuid import UUID

import pytest

from tests.conftest import Deployment
from tests.extractor.calling import asked, erase
from tests.extractor.known import Knowledge, OpeningEngine
from tests.extractor.saved import change
from tests.extractor.test_context_erasing import FILLING, SECRET, places
from tests.extractor.test_merging import DISK, FRIDAY, MONDAY, OTHER_DISK, SMALL_TALK, tell, title
from winnow.extractor.v1 import extractor_pb2 as pb


async def titles(deployment: Deployment) -> set[str]:
    """The titles of all topics, the retired ones too."""
    rows = await deployment.admin.fetch("select title from extractor.topic")
    return {row["title"] for row in rows}


async def forgotten(knowledge: Knowledge, message: UUID) -> None:
    """Erase a message, and see that its word stands nowhere when what is left was read again."""
    await erase(knowledge.deployment, message)
    await knowledge.settled()
    assert await places(knowledge.deployment) == []


async def test_what_a_person_called_a_topic_stays(deployment: Deployment) -> None:
    """A renamed topic keeps its id and its other messages; of the title that had the erased word nothing is left."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[{SECRET} backups] {DISK}", f"[Release dates] {FRIDAY}"]
        _, said = await tell(knowledge, *lines)
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        kept, other = topics[f"{SECRET} backups"], topics["Release dates"]
        await call("MergeTopics", topic_id=kept, merged_topic_ids=[other], title="Operations")
        await forgotten(knowledge, said[0])
        (topic,) = (await call("ListTopics")).topics
        assert (topic.id, topic.title, topic.message_count) == (kept, "Operations", 1)
        versions = (await call("ListTopicVersions", topic_id=kept)).versions
        assert [(v.change, v.title) for v in versions] == [(pb.VERSION_CHANGE_EDITED, "Operations")]
        assert await titles(deployment) == {"Operations", "Release dates"}


async def test_a_renamed_topic_keeps_what_no_old_title_leads_to(deployment: Deployment) -> None:
    """Where the title that readings knew is gone, what is left of the topic is not taken for another one."""
    async with asked(deployment, engine=OpeningEngine()) as (knowledge, call):
        lines = (f"{SECRET} of the archive", "paint both kitchens yellow")
        source, said = await tell(knowledge, *lines)
        await tell(knowledge, "order twenty chairs for the large hall")
        topics = {t.title: t.id for t in (await call("ListTopics")).topics}
        kept, other = topics[SECRET], topics["order"]
        await call("MergeTopics", topic_id=kept, merged_topic_ids=[other], title="Operations")
        await tell(knowledge, "swap desks twice per year", source=source)
        await forgotten(knowledge, said[0])
        (topic,) = (await call("ListTopics")).topics
        assert (topic.id, topic.title, topic.message_count) == (kept, "Operations", 3)


async def test_what_a_person_split_stays(deployment: Deployment) -> None:
    """A topic that a person made outlives an erasure beside it, and one of its messages; not all of them."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backups] {line}" for line in (DISK, FRIDAY, OTHER_DISK, MONDAY)]
        _, said = await tell(knowledge, *lines)
        (topic,) = (await call("ListTopics")).topics
        moved = [str(said[1]), str(said[3])]
        split = await call(
            "SplitTopic", topic_id=topic.id, message_ids=moved, title="Quarterly planning"
        )
        for message, left in ((said[0], 2), (said[1], 1)):
            await forgotten(knowledge, message)
            found = {t.id: t for t in (await call("ListTopics")).topics}
            assert found[split.topic.id].title == "Quarterly planning"
            assert found[split.topic.id].message_count == left
        await forgotten(knowledge, said[3])
        assert {t.id for t in (await call("ListTopics")).topics} == {topic.id}
        assert await titles(deployment) == {"Backups"}


@pytest.mark.parametrize("is_traced", [True, False])
async def test_titles_out_of_use_go_with_what_may_have_given_them(
    deployment: Deployment, is_traced: bool
) -> None:
    """Where it is not known which readings gave them, any message of their source may have; persons did others."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backups] {DISK}", f"[Release dates] {FRIDAY}", *(text for _, text in FILLING)]
        source, said = await tell(knowledge, *lines)
        _, elsewhere = await tell(knowledge, f"[Archive] {OTHER_DISK}")
        ids = {t.title: t.id for t in (await call("ListTopics")).topics}
        renamed = {"topic_id": ids["Backups"], "merged_topic_ids": [ids["Release dates"]]}
        await call("MergeTopics", **renamed, title="Operations")
        for message in (*said[:2], *elsewhere):
            await change(deployment, message, deleted=True)
        await knowledge.settled()
        assert not (await call("ListTopics")).topics
        everything = {"Operations", "Backups", "Release dates", "Archive"}
        assert await titles(deployment) == everything
        if not is_traced:
            await deployment.admin.execute("update extractor.topic set is_traced = false")
            await deployment.admin.execute("delete from extractor.title_window")
        _, later = await tell(knowledge, f"[Holidays] {MONDAY}", source=source)
        await forgotten(knowledge, later[0])
        left = {"Operations", "Archive"}
        if is_traced:
            assert await titles(deployment) == everything
            # Of that window, what a person named has neither a message nor an atom.
            await forgotten(knowledge, said[0])
            left = {"Archive"}
        assert await titles(deployment) == left
        versions = await deployment.admin.fetch("select title from extractor.topic_version")
        assert {row["title"] for row in versions} == left


@pytest.mark.parametrize("is_merged", [False, True])
async def test_a_title_goes_that_a_later_reading_gave_too(
    deployment: Deployment, is_merged: bool
) -> None:
    """Only the first reading is known of a title; the words of a second window go from it all the same."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[{SECRET}] {DISK}", f"[Operations] {OTHER_DISK}", *(text for _, text in FILLING)]
        source, first = await tell(knowledge, *lines)
        _, second = await tell(knowledge, f"[{SECRET}] {FRIDAY}", source=source)
        ids = {t.title: t.id for t in (await call("ListTopics")).topics}
        if is_merged:
            merging = {"topic_id": ids["Operations"], "merged_topic_ids": [ids[SECRET]]}
            await call("MergeTopics", **merging)
        await change(deployment, first[0], text=DISK)
        await knowledge.settled()
        if not is_merged:
            await change(deployment, second[0], text=f"[Release dates] {FRIDAY} in {SECRET}")
            await knowledge.settled()
        assert "topic" in await places(deployment)
        await forgotten(knowledge, second[0])


async def test_a_former_title_goes_with_its_topic(deployment: Deployment) -> None:
    """What a topic was called before a person renamed it is not left behind, where no later erasure would find it."""
    async with asked(deployment) as (knowledge, call):
        lines = [f"[Backups] {DISK}", f"[Release dates] {FRIDAY}", f"[{SECRET}] {OTHER_DISK}"]
        _, said = await tell(knowledge, *lines)
        ids = {t.title: t.id for t in (await call("ListTopics")).topics}
        renaming = {"topic_id": ids["Backups"], "merged_topic_ids": [ids["Release dates"]]}
        await call("MergeTopics", **renaming, title="Operations")
        await call("MergeTopics", topic_id=ids[SECRET], merged_topic_ids=[ids["Backups"]])
        await forgotten(knowledge, said[2])
        found = "select count(*) from extractor.topic where title = 'Backups'"
        assert await deployment.admin.fetchval(found) == 1
        await forgotten(knowledge, said[0])
        assert await deployment.admin.fetchval(found) == 0


async def test_a_title_merged_by_itself_goes_that_a_later_reading_gave_too(
    deployment: Deployment,
) -> None:
    """A topic that others hold keeps no title merged into it whose words an erased message of a later window had."""
    async with asked(deployment) as (knowledge, call):
        held, merged = (
            "Nightly backup retention policy",
            f"Nightly {SECRET} backup retention policy",
        )
        others = [f"[{title(line)}] {line}" for line in SMALL_TALK]
        await tell(knowledge, *others, f"[{held}] {DISK}")
        filling = [text for _, text in FILLING]
        source, first = await tell(knowledge, f"[{merged}] {OTHER_DISK}", *filling)
        _, second = await tell(knowledge, f"[{merged}] {FRIDAY}", source=source)
        counts = {t.title: t.message_count for t in (await call("ListTopics")).topics}
        assert counts[held] == 3
        await change(deployment, first[0], text=OTHER_DISK)
        await change(deployment, second[0], text=f"{FRIDAY} in {SECRET}")
        await knowledge.settled()
        assert "topic" in await places(deployment)
        await forgotten(knowledge, second[0])
        assert held in await titles(deployment)
