"""The same said in other characters is worth the same: marks apart from their letters, any apostrophe."""

import json
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from services.ingest.scoring import Conversation, Importance, score
from services.ingest.wording import TEXT_MAX, Context, ScoredInput, read

CHATS = Path(__file__).parents[2] / "benchmarks" / "importance"
WITHIN = re.compile(r"(?<=\w)['’ʼ](?=\w)")
WAYS = [
    pytest.param(partial(unicodedata.normalize, "NFD"), id="marks apart"),
    pytest.param(partial(WITHIN.sub, "'"), id="straight"),
    pytest.param(partial(WITHIN.sub, "’"), id="U+2019"),
    pytest.param(partial(WITHIN.sub, "ʼ"), id="U+02BC"),
]
Write = Callable[[str], str]


def scores(chat: str, write: Write = str) -> list[Importance]:
    """The importance of all messages of a chat, as its people would have written them."""
    rows = json.loads((CHATS / f"{chat}.result.json").read_text("utf-8"))["messages"]
    said = [row for row in rows if row["type"] == "message"]
    conversation = Conversation()
    return [conversation.score(ScoredInput(write(row["from"]), write(row["text"]))) for row in said]


def addressed(text: str, *authors: str) -> tuple[str, str]:
    """Whom a text is addressed to after a message of each of some authors, and what it says to them."""
    recent = [read(ScoredInput(author, "добре"), Context()) for author in authors]
    reading = read(ScoredInput("Ada", text), Context(recent))
    return reading.addressee, reading.body


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("chat", ["ukrainian-support", "russian-team", "english-kitchen"])
def test_a_score_does_not_depend_on_how_letters_are_written(chat: str, write: Write) -> None:
    """A chat scores the same, factor by factor, in whatever characters clients send its words."""
    assert scores(chat, write) == scores(chat)


@pytest.mark.parametrize("write", WAYS)
def test_a_question_is_one_in_any_apostrophe(write: Write) -> None:
    """Who begins as a question does asks, also without the mark."""
    assert read(ScoredInput("Ada", write("what's the best way to deploy")), Context()).is_question


@pytest.mark.parametrize("write", WAYS)
def test_a_name_is_one_in_any_apostrophe(write: Write) -> None:
    """A name with an apostrophe, a `й` or a `ё` in it is known by whichever its owner's client sends."""
    for name in ("Дар'я", "Андрій", "Артём"):
        told = addressed(f"{name}, глянь збірку", write(name))
        assert told == addressed(write(f"{name}: глянь збірку"))
        assert told[0]
        assert told[1] == "глянь збірку"


def test_letters_that_grow_are_read_so_far_as_others() -> None:
    """Some letters are two when they are composed; what is read of a message stays bounded."""
    text = "\u0958" * TEXT_MAX
    assert len(unicodedata.normalize("NFC", text)) > TEXT_MAX
    assert 0 <= score(ScoredInput("Ada", text), Context()).score <= 1
    assert len(read(ScoredInput("Ada", text), Context()).text) == TEXT_MAX
