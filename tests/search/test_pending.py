"""How much of what is new a search by words finds in a list, which it reads from end to end, instead of in an index."""

import random

from tests.search.conftest import Desk

PAGE_BYTES = 8192
PENDING_BYTES_MAX = 256 << 10
CLEAN = "select gin_clean_pending_list($1::text::regclass)"


def _texts(count: int) -> list[str]:
    dice = random.Random(3)
    return [" ".join(f"word{dice.randrange(5000)}" for _ in range(20)) for _ in range(count)]


async def test_few_messages_stand_in_the_list_of_what_is_new(desk: Desk) -> None:
    """Those of PostgreSQL's own limit, 4 MB, nearly double what a search takes."""
    await desk.library.add_messages(_texts(2000))
    pages = await desk.library.admin.fetchval(CLEAN, "ingest.message_words")
    # One insert may go beyond the limit before it empties the list.
    assert 0 < pages <= PENDING_BYTES_MAX // PAGE_BYTES + 2


async def test_atoms_and_topics_are_indexed_at_once(desk: Desk) -> None:
    """They come a few at a time, so what waits would wait for days."""
    [message] = await desk.library.add_messages(["the lamp is green"])
    await desk.library.add_atom("The lamp", "The lamp is green", [message])
    await desk.library.add_topic("Lamps", [message])
    for index in ("extractor.atom_words", "extractor.topic_words"):
        assert await desk.library.admin.fetchval(CLEAN, index) == 0
