"""What comes with a hit: surroundings, marks, an explanation, and the context packed for a model."""

import threading
import unicodedata
from datetime import timedelta

import pytest

from services.search import highlighting
from services.search.spelling import normal
from tests.search.asking import KEYWORD, SEMANTIC, call
from tests.search.conftest import Desk
from tests.search.library import START, texts, unit
from winnow.search.v1 import search_pb2 as pb


async def test_hits_come_with_their_surroundings_and_marks(desk: Desk) -> None:
    """Neighbours must be those of the conversation, in order, and marks must be where the words stand."""
    library = desk.library
    await library.add_messages(["far before", "just before"], thread_id="t")
    await library.add_message("the <b>deploys</b> 🙂 failed: deploy", thread_id="t")
    await library.add_messages(["just after", "far after"], thread_id="t")
    await library.add_message("elsewhere", thread_id="u")
    reply = await desk.client.search("deploy", mode=KEYWORD, neighbours=1, highlight=True)
    (found,) = reply.results
    assert [m.text for m in found.neighbours.before] == ["just before"]
    assert [m.text for m in found.neighbours.after] == ["just after"]
    text = found.message.text
    marked = [text[h.offset : h.offset + h.length] for h in found.highlights]
    assert marked == ["deploys", "deploy"]


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("мій", ["м\u0456\u0438\u0306"]),
        ("naïve", ["nai\u0308ve"]),
        ("file", ["фаи\u0306л", "ﬁle"]),
        ("0x80070005", ["0x80070005"]),
        ("한국", ["\u1112\u1161\u11ab\u1100\u116e\u11a8"]),
        ("замок", ["за\u0301мок"]),
        ("п'ятниця", ["п’ятницю"]),
        ("звіт", ["звіт"]),
        ("HashMap", ["HashMap"]),
    ],
)
async def test_marks_are_where_words_stand_however_they_are_written(
    desk: Desk, query: str, marked: list[str]
) -> None:
    """Words with accents apart, in ligatures, after an ellipsis or a tag must be marked in the text as it was sent."""
    said = (
        "мій <b>файл</b>… naïve 🙂 ﬁle:0x80070005 한국 за\u0301мок у п’ятницю, «звіт»—Arc<HashMap>"
    )
    text = unicodedata.normalize("NFD", said)
    await desk.library.add_message(text)
    (found,) = (await desk.client.search(query, mode=KEYWORD, highlight=True)).results
    assert [text[h.offset : h.offset + h.length] for h in found.highlights] == marked


async def test_texts_are_spelt_beside_the_event_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of long texts whose accents stand apart takes long: calls of the process go on meanwhile."""
    threads: list[threading.Thread] = []

    def spelt(text: str) -> str:
        threads.append(threading.current_thread())
        return normal(text)

    monkeypatch.setattr(highlighting, "normal", spelt)
    await desk.library.add_message("a nai\u0308ve plan")
    (found,) = (await desk.client.search("plan", mode=KEYWORD, highlight=True)).results
    assert [(h.offset, h.length) for h in found.highlights] == [(9, 4)]
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("conf", ["conf"]),
        ("/etc/nginx/nginx.conf", ["/etc/nginx/nginx.conf"]),
        ("HashMap insert", ["HashMap", "insert"]),
        ("b", ["b"]),
    ],
)
async def test_a_part_of_what_is_joined_is_marked(
    desk: Desk, query: str, marked: list[str]
) -> None:
    """What is found within a path or a name must be marked there, and what is found whole be marked once."""
    text = "🙂 /etc/nginx/nginx.conf: std.HashMap.insert for a/b"
    await desk.library.add_message(text)
    (found,) = (await desk.client.search(query, mode=KEYWORD, highlight=True)).results
    assert [text[h.offset : h.offset + h.length] for h in found.highlights] == marked


async def test_neighbours_may_be_far_apart_in_time(desk: Desk) -> None:
    """In a thread where days pass between two messages, those before and after must be shown all the same."""
    for number, text in enumerate(("first", "second", "the deploy failed", "last")):
        await desk.library.add_message(text, sent_at=START + timedelta(days=40 * number))
    reply = await desk.client.search("deploy", mode=KEYWORD, neighbours=2)
    around = reply.results[0].neighbours
    assert [m.text for m in around.before] == ["first", "second"]
    assert [m.text for m in around.after] == ["last"]


async def test_what_is_found_by_meaning_is_marked_and_explained(desk: Desk) -> None:
    """A search that looks no words up must still mark the query's words, and explain itself without any."""
    await desk.library.add_messages(["we deploy on friday"], [unit(1)])
    reply = await desk.client.search(
        "deploy", mode=SEMANTIC, query_vector=unit(1).tolist(), highlight=True, explain=True
    )
    (found,) = reply.results
    assert [(h.offset, h.length) for h in found.highlights] == [(3, 6)]
    assert not reply.explanation.terms
    assert reply.explanation.semantic_plan


async def test_context_is_packed_within_its_budget(desk: Desk) -> None:
    """Items must be numbered, cite messages, stay within the budget, and say each thing once."""
    library = desk.library
    first = await library.add_message("the backup failed: disk full", unit(1), author_name="Ann")
    await library.add_message("The backup failed: disk full!", unit(1, 0.01))
    await library.add_atom("Backup fails", "when the disk is full", [first], unit(1, 0.3))
    await library.add_messages(
        [f"backup {i} " + " ".join(f"w{i}{j}" for j in range(60)) for i in range(10)],
        [unit(1, 0.5 + i) for i in range(10)],
    )
    request = pb.PackContextRequest(
        query="backup failed", tokens_max=300, query_vector=unit(1).tolist()
    )
    reply = await call(desk, "PackContext", request)
    assert [item.citation for item in reply.items] == list(range(1, len(reply.items) + 1))
    assert 0 < reply.tokens <= 300
    assert reply.tokens == sum(item.tokens for item in reply.items)
    assert reply.duplicates == 1
    assert reply.over_budget >= 1
    assert reply.coverage == pytest.approx(1)
    said = "\n".join(item.text for item in reply.items)
    assert said.count("disk full") == 2
    assert "Ann, 2024-05-01 09:01: the backup failed: disk full" in said
    assert "solution: Backup fails" in said
    assert all(
        line.startswith(f"[{i.citation}] ") for i in reply.items for line in i.text.split("\n")
    )
    (atom,) = [item for item in reply.items if item.result.HasField("atom")]
    assert list(atom.message_ids) == [str(first)]


async def test_what_is_packed_tells_how_far_it_bears_on_the_question(desk: Desk) -> None:
    """What has its words bears on a question, whatever else is packed and wherever else its words occur."""
    library = desk.library
    said = [f"lunch {i} with {'Bob' if i else 'the accountant'}" for i in range(30)]
    await library.add_messages(said, [unit(0.1, 1 + i) for i in range(30)], thread_id="a")
    await library.add_message("the new intern starts on monday", unit(0.1, 1), thread_id="b")
    vector = unit(1).tolist()

    async def bears(query: str) -> set[str]:
        request = pb.PackContextRequest(query=query, query_vector=vector)
        reply = await call(desk, "PackContext", request)
        assert reply.coverage == pytest.approx(1)
        return {i.result.message.text for i in reply.items if i.bearing >= 1}

    assert await bears("when does the intern start") == {"the new intern starts on monday"}
    assert await bears("when does the accountant start") == set()


async def test_what_is_packed_tells_which_words_it_has_and_which_are_missing(desk: Desk) -> None:
    """Each word must count once, said by an item, next to it or in what it rests on; what nothing has is told."""
    library = desk.library
    await library.add_messages(
        ["the intern starts on monday", "she gets the intern desk"], [unit(1, 0.1)] * 2
    )
    request = pb.PackContextRequest(
        query="what did they say of the salary and desk of the intern on friday",
        query_vector=unit(1).tolist(),
    )
    reply = await call(desk, "PackContext", request)
    assert list(reply.missing_words) == ["salary"]
    assert len(reply.items) == 2
    for item in reply.items:
        assert 0.3 < item.words < 0.7
    request.query = "intern desk"
    reply = await call(desk, "PackContext", request)
    assert not reply.missing_words
    assert [item.words for item in reply.items] == pytest.approx([1, 1])


async def test_what_is_to_be_erased_is_not_shown(desk: Desk) -> None:
    """Words of a message that an erasure has written down stand in no result, around none and beside no evidence."""
    said = ["the deploy is stuck", "zanzibarine did it", "the deploy goes on"]
    ids = await desk.library.add_messages(said, [unit(1), unit(1, 0.1), unit(1, 0.2)])
    await desk.library.add_atom("A deploy that was stuck", "goes on", ids, unit(1, 0.3))
    everything = {"query_vector": unit(1).tolist(), "neighbours": 2}
    assert "zanzibarine" in str(await desk.client.search("deploy zanzibarine", **everything))
    await desk.deployment.admin.execute(
        "insert into ingest.message_to_erase values ($1, $2, uuidv7())",
        desk.deployment.workspace,
        ids[1],
    )
    for mode in (pb.SEARCH_MODE_SEMANTIC, pb.SEARCH_MODE_KEYWORD, pb.SEARCH_MODE_HYBRID):
        found = await desk.client.search("deploy zanzibarine", mode=mode, **everything)
        assert "the deploy goes on" in texts(found)
        assert "zanzibarine" not in str(found)


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ('"nightly backup"', ["nightly backup", "Nightly  backup"]),
        ('"nightly backup" disk', ["nightly backup", "Nightly  backup", "disk"]),
        ('"nightly backup" backup', ["nightly backup", "backup", "Nightly  backup", "backup"]),
        ('"backup of the disk"', ["backup of the disk"]),
        ('"db-1.example.com"', ["db-1.example.com"]),
        ('"example com"', ["example.com"]),
    ],
)
async def test_a_phrase_is_marked_as_it_stands(desk: Desk, query: str, marked: list[str]) -> None:
    """Words that are asked for one after another must be marked where they stand so, and nowhere else."""
    text = "The nightly backup: a backup, nightly. Nightly  backup of com; backup of the disk on db-1.example.com"
    await desk.library.add_message(text)
    reply = await desk.client.search(query, mode=KEYWORD, highlight=True)
    found = reply.results[0].highlights
    assert [text[h.offset : h.offset + h.length] for h in found] == marked


@pytest.mark.parametrize("long", [[15] * 100, [200, *[15] * 10, *[0] * 80]])
async def test_a_phrase_is_marked_in_every_result_of_a_page(desk: Desk, long: list[int]) -> None:
    """However many results a page has, and however much in them resembles a phrase, it must be marked in each."""
    await desk.library.add_messages(["backup " * times + "nightly backup" for times in long])
    reply = await desk.client.search(
        '"nightly backup"', mode=KEYWORD, highlight=True, page_size=100
    )
    assert [len(each.highlights) for each in reply.results] == [1] * len(long)
