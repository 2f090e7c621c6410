"""Quoted words stand in every result as they are, and excluded ones in none."""

import unicodedata

import pytest

from services.search.phrases import is_in_index, pattern
from services.search.spelling import plain
from services.search.words import parse
from tests.search.asking import KEYWORD
from tests.search.conftest import Desk
from tests.search.library import texts
from winnow.search.v1 import search_pb2 as pb

DISK = 'The backup failed: "No space left on device" on the backup host.'
BARE = "Are we without a backup today then?"
CAUSE = "It exploded when the job ran, see The Backup of Monday"
CHINESE = "服务器磁盘已满，备份失败"
SAID = [DISK, BARE, CAUSE, CHINESE]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"on the" backup', [DISK]),
        ('"the backup"', [DISK, CAUSE]),
        ('"THE backup"', [DISK, CAUSE]),
        ('"on the"', [DISK]),
        ('"the job" exploded', [CAUSE]),
        ('"space left on"', [DISK]),
        ('"space left no"', []),
        ('"exploded"', [CAUSE]),
        ('"exploding"', []),
        ('"the back"', []),
        ('"backup" -"on the"', [BARE, CAUSE]),
        ('backup -"without a backup" -failed', [CAUSE]),
        ('exploded -"exploding"', [CAUSE]),
        ('"failed no space"', [DISK]),
        ('"磁盘已满"', [CHINESE]),
        ('"磁盘已满 备份"', [CHINESE]),
        ('"磁盘满"', []),
        ('"磁盘已满" "on the"', []),
    ],
)
async def test_a_phrase_stands_as_it_is(desk: Desk, query: str, found: list[str]) -> None:
    """Common words, endings and order count in a phrase, its signs and capitals do not, whichever way is searched."""
    await desk.library.add_messages(SAID)
    reply = await desk.client.search(query, mode=KEYWORD)
    assert sorted(texts(reply)) == sorted(found)
    if query.startswith('"'):
        # Of others what is near in meaning is found as well.
        hybrid = await desk.client.search(query, mode=pb.SEARCH_MODE_HYBRID)
        assert sorted(texts(hybrid)) == sorted(found)


async def test_that_every_text_was_looked_through_is_said(desk: Desk) -> None:
    """A phrase that no index knows costs more, and the reply says why; beside words that are found it does not."""
    await desk.library.add_messages(SAID)
    for query, warned in (('"on the"', True), ('"磁盘已满"', True), ('"on the" backup', False)):
        reply = await desk.client.search(query, mode=KEYWORD)
        assert any("looked through" in each for each in reply.warnings) == warned


async def test_a_phrase_stands_in_atoms_and_topics(desk: Desk) -> None:
    """A phrase is looked for in an atom's title and content and in a topic's title."""
    found = await desk.library.add_message("something")
    for title in ("The disk is full", "A disk of the host"):
        await desk.library.add_atom(title, "Said on the channel", [found])
        await desk.library.add_topic(title, [found])
    for query, kinds in (('"the host" disk', ["atom", "topic"]), ('"host said"', ["atom"])):
        reply = await desk.client.search(query, mode=KEYWORD, kinds=[2, 3])
        assert sorted(each.WhichOneof("subject") for each in reply.results) == kinds
    assert len((await desk.client.search('"on the"', mode=KEYWORD, kinds=[2])).results) == 2


@pytest.mark.parametrize(
    ("phrase", "text", "stands"),
    [
        ("src/api.py", "see src/api.py:12", True),
        ("api py", "see src/api.py:12", True),
        ("lock_timeout", "set lock_timeout = 5", True),
        ("lock", "set lock_timeout = 5", True),
        ("time", "set lock_timeout = 5", False),
        ("C++", "we write C++ here", True),
        ("C", "we write C++ here", True),
        ("C++", "the letter C is here", False),
        ("пʼять", "п'ять воркерів", True),
        ("кіль", "кількість", False),
        ("ПОМИЛКА", "помилка: диск", True),
        ("नमस्ते दुनिया", "नमस्ते, दुनिया।", True),
        ("नमस", "नमस्ते", False),
        ("السلام عليكم", "السلام، عليكم", True),
        ("ภาษา", "ภาษาไทย", True),
        ("カタ", "カタカナ", True),
        ("don't panic", "Don’t panic!", True),
        ("🙂", "🙂", None),
    ],
)
async def test_words_are_whole_in_any_alphabet(
    desk: Desk, phrase: str, text: str, stands: bool | None
) -> None:
    """What a word is must be the same to the pattern and to the database, and parts of words are none."""
    spelt = plain(phrase)
    if stands is None:
        assert not spelt.strip()
        return
    query = 'select spine.plain($1) collate "pg_c_utf8" ~* $2'
    assert await desk.library.admin.fetchval(query, text, pattern(spelt)) == stands


async def test_a_text_is_found_by_a_quotation_of_itself(desk: Desk) -> None:
    """Whatever character is in a quoted text, the text must have what the quotation asks for."""
    known = (chr(code) for code in (*range(1, 0xD800), *range(0xE000, 0x1FB00)))
    said = [f"x{each}y z" for each in known if each != '"' and unicodedata.category(each) != "Cn"]
    asked = [[pattern(each) for each in parse(f'"{text}"').phrases] for text in said]
    lost = await desk.library.admin.fetch(
        """select t.text from unnest($1::text[], $2::text[]) as t (text, pattern)
           where t.pattern is not null and not spine.plain(t.text) collate "pg_c_utf8" ~* t.pattern""",
        said,
        [each[0] if each else None for each in asked],
    )
    assert [row["text"] for row in lost] == []


def test_what_has_no_spaces_is_not_in_the_index() -> None:
    """The index has the words of Korean and not those of Chinese."""
    assert is_in_index("서버 오류")
    assert not is_in_index("disk 磁盘")


async def test_a_phrase_may_be_as_long_as_a_query(desk: Desk) -> None:
    """A phrase of thousands of letters or words is looked for like any other."""
    for phrase in (" ".join(map(str, range(800))), "яґ" * 1_000):
        await desk.library.add_message(f"so: {phrase}")
        assert texts(await desk.client.search(f'"{phrase}"')) == [f"so: {phrase}"]
