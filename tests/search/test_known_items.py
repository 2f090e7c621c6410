"""Queries that nobody labelled, drawn from chats written here."""

from collections.abc import Sequence

import pytest

from services.search import known_items
from services.search.evaluation import (
    Collection,
    Find,
    JudgedMessage,
    JudgedQuery,
    evaluate,
    known_queries,
)

CHAT = [
    "ok, look at WEB-1432 please",
    "WEB-1433 is a duplicate, look there",
    "the certificate expires tomorrow, somebody renewed certificates",
    "Зламався експорт накладних у звіті",
    "ok",
]


def test_each_query_is_of_one_message_alone() -> None:
    """What is asked for must stand in the message that is meant, and in no other of its chat."""
    items = known_items.known_items({"a": CHAT, "b": ["WEB-1432 again"]})
    assert items == known_items.known_items({"a": CHAT, "b": ["WEB-1432 again"]})
    assert {item.kind for item in items} == set(known_items.KINDS)
    whole = [item for item in items if item.kind in ("identifier", "word", "fragment")]
    chats = {"a": CHAT, "b": ["WEB-1432 again"]}
    for item in whole:
        having = [place for place, text in enumerate(chats[item.chat]) if item.text in text]
        assert having == [item.place], item
    assert ("identifier", "a", 0, "WEB-1432") in items
    assert ("identifier", "b", 0, "WEB-1432") in items


@pytest.mark.parametrize("text", ["ok", "and so on", "look"])
def test_what_several_have_is_not_asked_for(text: str) -> None:
    """A message whose words stand in others, in any form, must give no query."""
    texts = [text, f"{text} again", "a certificate", "certificates"]
    assert known_items.known_items({"a": texts}) == []


def test_who_asks_in_ukrainian_is_asked_in_ukrainian() -> None:
    """A question about a Ukrainian word must be a Ukrainian one."""
    texts = [item.text for item in known_items.known_items({"a": CHAT}) if item.kind == "question"]
    assert any(text.startswith("що ми знаємо про ") for text in texts)
    assert any(text.startswith("what do we know about ") for text in texts)


async def test_how_often_they_come_first_is_told_by_kind() -> None:
    """The reciprocal rank must be that of the message that is meant, for each mode and kind."""
    messages = tuple(JudgedMessage("a", 10 + n, "ann", text) for n, text in enumerate(CHAT))
    judged = JudgedQuery("certificate", "a", frozenset([12]), "en")
    collection = Collection("x", messages, (judged,))
    assert {query.chat for query in known_queries(collection)} == {"a"}

    async def load(loaded: Sequence[JudgedMessage]) -> Find:
        async def find(query: JudgedQuery, mode: str) -> list[int]:
            (meant,) = query.relevant
            return [meant] if mode == "hybrid" else [0, meant]

        return find

    figures = await evaluate([collection], load)
    assert figures["known_item_mrr"] == 1
    assert figures["known_items"]["word"] == {"keyword_mrr": 0.5, "hybrid_mrr": 1}
