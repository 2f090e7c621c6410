"""What the query API counts and puts together: live rows, facets, groups, likeness and near duplicates."""

import random
from uuid import uuid4

import grpc
import pytest

from tests.search.asking import ALL_KINDS, KEYWORD, SEMANTIC, by, call
from tests.search.conftest import Desk
from tests.search.library import START, Library, as_search, texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types


async def test_counting_without_a_query_counts_what_is_live(desk: Desk) -> None:
    """Without a query everything live that satisfies the filter must be counted, by kind."""
    message = await desk.library.add_message("a", author_external_id="ann")
    await desk.library.add_message("b")
    await desk.library.add_message("c", deleted_at=START)
    await desk.library.add_atom("d", "", [message])
    await desk.library.add_atom("e", "", [message], approval_state="rejected")
    everything = await call(desk, "Count", pb.CountRequest())
    assert (everything.count, [k.count for k in everything.kinds]) == (3, [2, 1])
    of_ann = await call(desk, "Count", pb.CountRequest(filter_expression=by("ann")))
    assert of_ann.count == 2


async def test_facets_count_values(desk: Desk) -> None:
    """Every attribute must be counted over what is live, the most frequent first, and titles must come along."""
    library = desk.library
    for i in range(3):
        last = await library.add_message(
            f"facet the {i}", author_external_id="ann", author_name="Ann", thread_id="t"
        )
    await library.add_message("facet що", author_external_id="bob", importance_label="signal")
    await library.add_message("gone", author_external_id="bob", deleted_at=START)
    topic = await library.add_topic("About it", [last])
    await library.add_atom("facet atom", "", [last], topic_id=topic, type="idea")
    keys = list(pb.FacetKey.values())[1:]
    reply = await call(desk, "Facet", pb.FacetRequest(keys=keys))
    found = {
        pb.FacetKey.Name(facet.key).removeprefix("FACET_KEY_").lower(): {
            value.value: value.count for value in facet.values
        }
        for facet in reply.facets
    }
    assert reply.count == 5
    assert found["kind"] == {"message": 4, "atom": 1}
    assert found["author"] == {"ann": 3, "bob": 1}
    assert found["thread"] == {"t": 3, "": 1}
    assert found["topic"] == {str(topic): 2}
    assert found["label"] == {"weak": 3, "signal": 1}
    assert found["atom_type"] == {"idea": 1}
    assert found["approval_state"] == {"proposed": 1}
    assert found["language"] == {"en": 3, "uk": 1, "und": 1}
    assert found["month"] == {"2024-05": 5}
    titles = {value.title for facet in reply.facets for value in facet.values}
    assert {"A chat", "Ann", "About it"} <= titles
    one = await call(
        desk,
        "Facet",
        pb.FacetRequest(
            keys=[pb.FACET_KEY_AUTHOR],
            values_max=1,
            among=pb.CountRequest(query="facet", mode=KEYWORD),
        ),
    )
    assert [v.value for v in one.facets[0].values] == ["ann"]
    assert (one.count, one.facets[0].more_values) == (5, 1)


async def test_facets_are_found_by_their_titles(desk: Desk) -> None:
    """Whose title has a part comes in any case and script, among those that are left out of the most frequent."""
    named = {"a": "Ann", "b": "Joanna", "c": "Ірина"}
    for author, name in named.items():
        await desk.library.add_message("a", author_external_id=author, author_name=name)
    await desk.library.add_message("b", author_external_id="b", author_name="Joanna")

    async def found(part: str, values_max: int = 0) -> tuple[list[str], int]:
        request = pb.FacetRequest(
            keys=[pb.FACET_KEY_AUTHOR, pb.FACET_KEY_LANGUAGE],
            title_contains=part,
            values_max=values_max,
        )
        authors, languages = (await call(desk, "Facet", request)).facets
        assert bool(languages.values) == (not part)
        return [each.value for each in authors.values], authors.more_values

    assert await found("ANN") == (["b", "a"], 0)
    assert await found("ann", 1) == (["b"], 1)
    assert await found("іРи") == (["c"], 0)
    assert await found("%") == ([], 0)
    assert await found("") == (["b", "a", "c"], 0)


async def test_groups_hold_what_belongs_together(desk: Desk) -> None:
    """Groups must come by their best result, count all of theirs and show the best few, on pages without overlap."""
    library = desk.library
    a = await library.add_messages(["alpha"], [unit(1)], thread_id="a")
    b = await library.add_messages(["beta", "beta too"], [unit(1, 1), unit(1, 1.5)], thread_id="b")
    await library.add_messages(["alpha later"], [unit(1, 2)], thread_id="a")
    topic = await library.add_topic("Beta", b)
    fields = {"mode": SEMANTIC, "query_vector": unit(1).tolist(), "group_size": 1}
    reply = await desk.client.search(group_by=pb.GROUP_BY_CONVERSATION, **fields)
    assert [(g.conversation.thread_id, g.size) for g in reply.groups] == [("a", 2), ("b", 2)]
    assert [g.results[0].message.text for g in reply.groups] == ["alpha", "beta"]
    assert (reply.total_size, len(reply.results)) == (2, 0)
    reply = await desk.client.search(group_by=pb.GROUP_BY_TOPIC, page_size=1, **fields)
    assert not reply.groups[0].WhichOneof("key")
    assert reply.groups[0].results[0].message.id == str(a[0])
    second = await desk.client.search(
        group_by=pb.GROUP_BY_TOPIC, page_size=1, page_token=reply.next_page_token, **fields
    )
    assert (second.groups[0].topic.id, second.groups[0].size) == (str(topic), 2)
    assert not second.next_page_token


async def test_an_atom_is_where_it_was_said(desk: Desk) -> None:
    """Grouping by conversation must lose no atom: one stands where its first live evidence is."""
    library, fields = desk.library, {"mode": SEMANTIC, "kinds": [types.SUBJECT_KIND_ATOM]}
    said = [await library.add_message("said", thread_id=thread) for thread in "abc"]
    await library.add_atom("moved", "", said[1:], unit(1, 0.1))
    await library.add_atom("lost", "", said[:1], unit(1, 0.2))
    await library.add_atom("kept", "", [], unit(1, 0.3))
    await desk.deployment.admin.execute(
        "update ingest.message set deleted_at = now() where id = any ($1)", said[:2]
    )
    reply = await desk.client.search(
        group_by=pb.GROUP_BY_CONVERSATION, query_vector=unit(1).tolist(), **fields
    )
    found = [(g.conversation.thread_id, [r.atom.title for r in g.results]) for g in reply.groups]
    assert found == [("c", ["moved"]), ("", ["kept"])]


async def test_a_page_of_groups_that_are_gone_counts_groups(desk: Desk) -> None:
    """If what a page was to show has been deleted, its total must still be the number of groups."""
    for thread in ("a", "b"):
        await desk.library.add_messages(["alpha", "alpha too"], thread_id=thread)
    fields = {"mode": KEYWORD, "group_by": pb.GROUP_BY_CONVERSATION, "page_size": 1}
    first = await desk.client.search("alpha", **fields)
    shown = first.groups[0].conversation.thread_id
    await desk.deployment.admin.execute(
        "update ingest.message set deleted_at = now() where thread_id <> $1", shown
    )
    token = first.next_page_token
    second = await desk.client.search("alpha", page_token=token, **fields)
    assert (len(second.groups), second.total_size) == (0, 1)


async def test_conversations_with_long_names_have_further_pages(desk: Desk) -> None:
    """The page after a conversation must be there however long its title and thread are, and if it is renamed."""
    library = desk.library
    rename = "update ingest.source set title = $1"
    await desk.deployment.admin.execute(rename, "\N{CYRILLIC CAPITAL LETTER SHCHA}" * 256)
    for letter in "щєї":
        await library.add_message("alpha", unit(1), thread_id=letter * 128)
    fields = {"mode": SEMANTIC, "query_vector": unit(1).tolist(), "page_size": 1}
    seen, token = [], ""
    while True:
        reply = await desk.client.search(
            group_by=pb.GROUP_BY_CONVERSATION, page_token=token, **fields
        )
        seen += [group.conversation.thread_id[0] for group in reply.groups]
        token = reply.next_page_token
        if not token:
            break
        await desk.deployment.admin.execute(rename, f"Named after {len(seen)}")
    assert sorted(seen) == sorted("щєї")


async def test_similar_things_are_found_by_id(desk: Desk) -> None:
    """What is nearest to a subject must be found without itself; one without a vector must be unknown."""
    near = await desk.library.add_message("near", unit(1))
    await desk.library.add_message("nearer", unit(1, 0.1))
    await desk.library.add_message("far", unit(0, 1))
    await desk.library.add_atom("an atom", "", [near], unit(1, 0.05))
    bare = await desk.library.add_message("bare")
    request = pb.FindSimilarRequest(kind=types.SUBJECT_KIND_MESSAGE, id=str(near))
    reply = await call(desk, "FindSimilar", request)
    assert texts(reply) == ["nearer", "far"]
    assert reply.results[0].score == pytest.approx(0.995, abs=0.001)
    request.kinds.extend(ALL_KINDS)
    request.score_min = 0.5
    assert texts(await call(desk, "FindSimilar", request)) == ["an atom", "nearer"]
    for unknown in (bare, uuid4()):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(
                desk,
                "FindSimilar",
                pb.FindSimilarRequest(kind=types.SUBJECT_KIND_MESSAGE, id=str(unknown)),
            )
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_near_duplicates_are_grouped(desk: Desk) -> None:
    """Texts with nearly the same vectors must be one group from the oldest on; being near is not handed on."""
    await desk.library.add_messages(
        ["same", "other", "same too", "chain"],
        [unit(1), unit(0, 1), unit(1, 0.2), unit(1, 0.45)],
    )
    reply = await call(desk, "FindDuplicates", pb.FindDuplicatesRequest())
    assert [[r.message.text for r in g.results] for g in reply.groups] == [["same", "same too"]]
    assert (reply.compared, reply.truncated) == (4, False)
    fewer = pb.FindDuplicatesRequest(subjects_max=2)
    reply = await call(desk, "FindDuplicates", fewer)
    assert (reply.compared, reply.truncated) == (2, True)


async def test_long_texts_are_compared_as_a_whole(desk: Desk) -> None:
    """Texts that only begin alike must be no duplicates, and such as are alike as a whole must be."""
    library, long = desk.library, ["begins alike", "begins alike, too", "alike as a whole"]
    ids = await library.add_messages(long, [unit(1, 1), unit(1, -1), unit(1, 1)])
    for part, vectors in enumerate(
        ([unit(1), unit(1), unit(0, 1)], [unit(0, 1), unit(0, -1), unit(1)])
    ):
        await library.add_vectors("message", ids, long, vectors, part=part + 1)
    reply = await call(desk, "FindDuplicates", pb.FindDuplicatesRequest())
    assert [[r.message.text for r in g.results] for g in reply.groups] == [[long[0], long[2]]]
    assert reply.compared == len(long)


async def test_what_is_not_embedded_yet_does_not_hide_that_there_was_more(desk: Desk) -> None:
    """Where the newest of more subjects than are compared have no vector, the reply must say that there were more."""
    await desk.library.add_messages(["same", "same again", "and again"], [unit(1)] * 3)
    await desk.library.add_message("not embedded yet")
    request = pb.FindDuplicatesRequest(subjects_max=3)
    reply = await call(desk, "FindDuplicates", request)
    assert (reply.compared, reply.truncated) == (2, True)
    assert [[r.message.text for r in g.results] for g in reply.groups] == [
        ["same again", "and again"]
    ]


GONE = {
    "deleted": "update ingest.message set deleted_at = now() where id = $1",
    "edited": "update ingest.message set text = 'other', revised_at = now() where id = $1",
    "to be erased": """insert into ingest.message_to_erase select workspace_id, id, gen_random_uuid()
                       from ingest.message where id = $1""",
}


@pytest.mark.parametrize("how", GONE)
async def test_an_atom_whose_words_are_gone_is_not_counted(desk: Desk, how: str) -> None:
    """Counts, facets and duplicates must not hold what is no longer shown; one other passage keeps an atom."""
    library, kinds = desk.library, [types.SUBJECT_KIND_ATOM]
    one, other = await library.add_messages(["alpha one", "alpha other"])
    for evidence in ([one], [one], [one, other], []):
        await library.add_atom("alpha", "", evidence, unit(1))
    await desk.deployment.admin.execute(GONE[how], one)
    counted = await call(desk, "Count", pb.CountRequest(kinds=kinds))
    some = pb.FilterExpression(atom_types=pb.AtomTypeList(values=[types.ATOM_TYPE_SOLUTION]))
    filtered = await call(desk, "Count", pb.CountRequest(kinds=kinds, filter_expression=some))
    keys = [pb.FACET_KEY_ATOM_TYPE]
    facets = await call(desk, "Facet", pb.FacetRequest(keys=keys, among={"kinds": kinds}))
    same = pb.FindDuplicatesRequest(kind=types.SUBJECT_KIND_ATOM)
    duplicates = await call(desk, "FindDuplicates", same)
    assert (counted.count, filtered.count, facets.count) == (2, 2, 2)
    assert [(each.size, len(each.results)) for each in duplicates.groups] == [(2, 2)]


async def test_what_proves_an_atom_is_looked_up_by_its_key(desk: Desk) -> None:
    """Where statistics know rows of another workspace alone, no citation must be compared with all others."""
    admin, count = desk.deployment.admin, 50
    for library in (await Library(admin, uuid4()).open(), desk.library):
        await admin.execute("analyze ingest.message, extractor.atom_evidence")
        for number in range(count):
            await library.add_atom("alpha", "", [await library.add_message(f"alpha {number}")])
    await admin.execute("update ingest.message set revised_at = now()")
    read = """select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables
              where schemaname = 'ingest' and relname = 'message'"""
    async with as_search(desk.library) as connection:
        await connection.execute("select search.unfounded_atoms()")
        assert await connection.fetchval(read) < 10 * count


@pytest.mark.parametrize("mode", [SEMANTIC, KEYWORD, pb.SEARCH_MODE_HYBRID])
async def test_what_is_gone_takes_no_place(desk: Desk, mode: "pb.SearchMode.ValueType") -> None:
    """Pages must show each result once, and be full while there is anything to show."""
    library = desk.library
    said = await library.add_message("said", unit(0, 1))
    for number in range(30):
        vector = unit(1, number / 100)
        await library.add_atom(f"alpha {number}", "", [said] if number % 3 else [], vector)
    await desk.deployment.admin.execute(GONE["deleted"], said)
    pages = await _pages(desk, mode)
    seen = [title for page in pages for title in page]
    assert sorted(seen) == sorted(f"alpha {number}" for number in range(0, 30, 3))
    assert [len(page) for page in pages] == [4, 4, 2]


async def test_a_page_of_which_all_is_gone_leads_on(desk: Desk) -> None:
    """Where nothing of what was looked at may be shown, the next page must go on after it."""
    said = await desk.library.add_message("said", unit(0, 1))
    for number in range(40):
        evidence = [said] if number < 30 else []
        await desk.library.add_atom(f"alpha {number}", "", evidence, unit(1, number / 100))
    await desk.deployment.admin.execute(GONE["deleted"], said)
    pages = await _pages(desk, SEMANTIC)
    seen = [title for page in pages for title in page]
    assert seen == [f"alpha {number}" for number in range(30, 40)]


async def _pages(desk: Desk, mode: "pb.SearchMode.ValueType") -> list[list[str]]:
    """The titles of each page of atoms, ten pages at most."""
    pages, token = list[list[str]](), ""
    while len(pages) < 10 and (token or not pages):
        reply = await desk.client.search(
            "alpha",
            mode=mode,
            query_vector=unit(1).tolist(),
            kinds=[types.SUBJECT_KIND_ATOM],
            page_size=4,
            page_token=token,
        )
        pages.append([result.atom.title for result in reply.results])
        token = reply.next_page_token
    return pages


async def test_groups_are_made_of_what_is_there(desk: Desk) -> None:
    """A group whose best members are gone must show the next ones, and count those alone."""
    library = desk.library
    gone = await library.add_message("said", thread_id="a", deleted_at=START)
    topic = await library.add_topic("Alpha")
    for title, evidence in (("one", [gone]), ("two", [gone]), ("three", []), ("four", [])):
        await library.add_atom(f"alpha {title}", "", evidence, topic_id=topic)
    fields = {"mode": KEYWORD, "kinds": [types.SUBJECT_KIND_ATOM], "group_size": 1}
    reply = await desk.client.search("alpha", group_by=pb.GROUP_BY_TOPIC, **fields)
    assert [(group.size, len(group.results)) for group in reply.groups] == [(2, 1)]


@pytest.mark.parametrize("by", [pb.GROUP_BY_TOPIC, pb.GROUP_BY_CONVERSATION])
async def test_groups_are_the_same_on_every_page(desk: Desk, by: "pb.GroupBy.ValueType") -> None:
    """Pages of groups must be those of one large page, though what may not be shown is on some of them alone."""
    library, dice = desk.library, random.Random(4)
    said = [
        await library.add_message(
            "alpha " * dice.randint(1, 9), thread_id=dice.choice("abcdefghijkl")
        )
        for _ in range(60)
    ]
    topics = [await library.add_topic(f"topic {i}", dice.sample(said, 10)) for i in range(12)]
    for number in range(60):
        evidence, topic = dice.sample(said, dice.randint(0, 2)), dice.choice(topics)
        title = f"alpha {number} " + "other " * dice.randint(0, 9)
        await library.add_atom(title, "", evidence, topic_id=topic)
    erase = """insert into ingest.message_to_erase select workspace_id, id, gen_random_uuid()
               from ingest.message where id = any ($1)"""
    await desk.deployment.admin.execute(erase, said[:3])
    delete = "update ingest.message set deleted_at = now() where id = any ($1)"
    await desk.deployment.admin.execute(delete, said[3:9])
    fields = {"mode": KEYWORD, "group_by": by, "group_size": 2}
    whole = (await desk.client.search("alpha", page_size=100, **fields)).groups
    seen, token = list[pb.ResultGroup](), ""
    while (token or not seen) and len(seen) <= len(whole):
        reply = await desk.client.search("alpha", page_size=1, page_token=token, **fields)
        seen, token = [*seen, *reply.groups], reply.next_page_token
    assert seen == list(whole)
    assert all(len(group.results) == min(group.size, 2) for group in seen)
