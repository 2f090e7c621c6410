"""Answers: only what the cited messages say, or quotes, or that nothing is known."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from services.cli.answering import Passage, Sentence, answer, is_grounded
from services.common.errors import ItemFailed, ModelUnavailable

PASSAGES = [
    Passage(1, "[1] Ann, 2026-03-03 06:02: The backup failed: disk of db-2 is full.", True, True),
    Passage(2, "[2] Bob, 2026-03-03 06:05: I'm freeing 40 GB now.", True, False),
]


@dataclass
class Scripted:
    """A model that says what it was told to."""

    text: str = ""
    error: Exception | None = None

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Any:
        """Return the text, or fail."""
        if self.error:
            raise self.error
        return self


def said(*sentences: tuple[str, int, str], known: bool = True) -> Scripted:
    """A model that answers with some sentences."""
    rows = [{"text": t, "citation": c, "quote": q} for t, c, q in sentences]
    return Scripted(json.dumps({"known": known, "sentences": rows}))


@pytest.mark.parametrize(
    ("text", "citation", "quote", "grounded"),
    [
        ("The disk of db-2 was full.", 1, "disk of db-2 is full", True),
        ("Диск db-2 заповнився.", 1, "Disk of db-2  is FULL.", True),
        ("The disk was full.", 2, "disk of db-2 is full", False),
        ("The disk was full.", 3, "disk of db-2 is full", False),
        ("The disk of db-3 was full.", 1, "disk of db-2 is full", False),
        ("50 GB are being freed.", 2, "I'm freeing 40 GB now", False),
        ("It failed.", 1, "the", False),
    ],
)
def test_a_sentence_needs_its_quote_and_its_numbers(
    text: str, citation: int, quote: str, grounded: bool
) -> None:
    """A sentence must be kept only if the cited passage has its quote, and every number or code that it names."""
    assert is_grounded(Sentence(text, citation, quote), "why?", PASSAGES) is grounded


@pytest.mark.parametrize(
    ("text", "grounded"),
    [
        ("It listens on 54321.", True),
        ("It listens on 5432.", False),
        ("It listens on 4321.", False),
        ("It takes 0.125 s since v2.10.4.", True),
        ("It takes 0.12 s.", False),
        ("It takes 1250 MB.", True),
        ("It runs relay.py.", True),
        ("It runs 10.4.", False),
    ],
)
def test_a_part_of_a_number_is_another_number(text: str, grounded: bool) -> None:
    """Digits of a longer number in the message must not count as a number that it has."""
    said = "[1] Ann: /opt/relay.py (v2.10.4) listens on 54321, 0.125s and 1250MB a call"
    sentence = Sentence(text, 1, "listens on 54321")
    assert is_grounded(sentence, "why?", [Passage(1, said, True, True)]) is grounded


async def test_only_grounded_sentences_are_shown() -> None:
    """What the model made up must be left out and counted."""
    writer = said(
        ("The disk was full.", 1, "disk of db-2 is full"),
        ("The moon was full.", 1, "the moon was full"),
    )
    found = await answer("why?", PASSAGES, 1.0, writer)
    assert (found.kind, found.ungrounded) == ("generated", 1)
    assert [each.text for each in found.sentences] == ["The disk was full."]


@pytest.mark.parametrize(
    "writer",
    [
        None,
        said(("The moon was full.", 1, "the moon was full")),
        Scripted("no JSON"),
        Scripted('{"known": true, "sentences": [{"text": "x"}]}'),
        Scripted('{"known": true, "sentences": [{"text": "x", "citation": 1e999, "quote": "x"}]}'),
        Scripted(error=ItemFailed("bad_answer", "no")),
        Scripted(error=ModelUnavailable("away")),
    ],
)
async def test_without_a_grounded_answer_messages_are_quoted(writer: Scripted | None) -> None:
    """Without a model, or with one that fails or invents, the messages themselves must be shown."""
    found = await answer("why?", PASSAGES, 1.0, writer)
    assert found.kind == "quoted"
    assert (
        found.sentences[0].text == "Ann, 2026-03-03 06:02: The backup failed: disk of db-2 is full."
    )


async def test_not_knowing_is_said() -> None:
    """If nothing relevant was found, or the model says so, the answer must be that it is not known."""
    far = [Passage(1, "[1] Ann, 2026-03-03 06:02: lunch at noon?", False, True)]
    assert (await answer("capital of Mongolia?", far, 0.1, said())).kind == "unknown"
    assert (await answer("why?", [], 1.0, None)).kind == "unknown"
    assert (await answer("why?", PASSAGES, 1.0, said(known=False))).kind == "unknown"
