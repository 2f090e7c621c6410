"""Reading one message: address, greeting, question, small talk, automation."""

import pytest

from services.extractor.labels import labelled_as
from services.extractor.utterances import (
    automatic_speakers,
    is_question,
    people,
    read,
    split_address,
    strip_greeting,
)
from tests.extractor.conversation import talk

NAMES = {"anna": "Anna", "олег": "Олег", "x_y": "x_y"}


@pytest.mark.parametrize(
    ("text", "addressee", "body"),
    [
        ("anna: try again", "anna", "try again"),
        ("@Anna try again", "anna", "try again"),
        ("Олег, спробуй ще раз", "олег", "спробуй ще раз"),
        ("x_y: and Anna it worked", "x_y", "it worked"),
        ("stranger: a mismatch of keys", "stranger", "a mismatch of keys"),
        ("thanks a lot anna", "anna", "thanks a lot anna"),
        ("see what @x_y wrote", "x_y", "see what @x_y wrote"),
        ("note: this breaks", None, "note: this breaks"),
        ("https://example.org/a: gone", None, "https://example.org/a: gone"),
        ("12:30 works", None, "12:30 works"),
        ("", None, ""),
        ("Decided: it goes out on Monday", None, "Decided: it goes out on Monday"),
        ("Решили: остаёмся на Redis", None, "Решили: остаёмся на Redis"),
    ],
)
def test_address(text: str, addressee: str | None, body: str) -> None:
    """Whom a text speaks to is told from names before colons and commas, mentions and endings."""
    assert split_address(text, NAMES) == (addressee, body)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("RİSK: the queue may overflow", "risk"),
        ("İdea: use a queue", "idea"),
        ("rısk: it may overflow", "risk"),
        ("[ACTİON] ann writes to them", "decision"),
        ("DECİSİON: no queue", "decision"),
    ],
)
def test_labels_in_turkish_letters(text: str, kind: str) -> None:
    """A Turkish keyboard makes another capital of an `i`: the label is known all the same."""
    assert labelled_as(text) == kind


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hi all! the build fails", "the build fails"),
        ("hello", ""),
        ("Привіт усім, впала збірка", "впала збірка"),
        ("Добрый день! вопрос", "вопрос"),
        ("history is long", "history is long"),
    ],
)
def test_greeting(text: str, rest: str) -> None:
    """Greetings are cut off in three languages, words that only begin like one are not."""
    assert strip_greeting(text) == rest


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("does it build?", True),
        ("how do I build it", True),
        ("підкажіть, як зібрати", True),
        ("这个怎么用？", True),
        ("see https://example.org/?q=1", False),
        ("it builds", False),
    ],
)
def test_question(text: str, asks: bool) -> None:
    """Questions are known by their mark in any script or by their wording, not by links."""
    assert is_question(text) is asks


@pytest.mark.parametrize(
    "text",
    [
        "what version is that",
        "why does the parser convert newlines",
        "which disk is full",
        "does the old driver support it",
        "did you restart it",
        "how many rows are there",
        "чому впала збірка",
        "скільки рядків у таблиці",
    ],
)
def test_a_question_without_its_mark(text: str) -> None:
    """The order of its first words tells a question."""
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "what I care about is the lock",
        "what it means is, links are the default",
        "when the build is done, deploy it",
        "how the system is built is described",
        "does not work on a Mac",
        "who wants it can take it",
        "where the logs are is written there",
        "чи не забагато",
    ],
)
def test_a_clause_is_no_question(text: str) -> None:
    """A sentence that begins with a clause or without its subject asks nothing."""
    assert not is_question(text)


@pytest.mark.parametrize(
    "text", ["ok", "thanks!!", "haha nice", "дякую", "спасибо большое", "👍", ":)", "...", "hi all"]
)
def test_small_talk(text: str) -> None:
    """Greetings, thanks and reactions say nothing."""
    (utterance,) = read(talk(f"ann: {text}").messages)
    assert utterance.is_social
    assert utterance.substance == 0


@pytest.mark.parametrize("text", ["no, 3306", "see https://example.org/x", "`yes`", "rollback"])
def test_short_facts_are_not_small_talk(text: str) -> None:
    """A number, a link, code or a plain word can be the whole answer."""
    (utterance,) = read(talk(f"ann: {text}").messages)
    assert not utterance.is_social


def test_automation() -> None:
    """Templated messages mark a status feed; people who post links or answer by name are not."""
    feed = [f"feed: merged change {n} into main https://ci.example/{n}" for n in range(3)]
    people = [
        "ann: bob: see https://example.org/1 for the details of this",
        "ann: bob: see https://example.org/2 for the rest of the story",
        "bob: which of them is the right one?",
    ]
    assert automatic_speakers(talk(*feed, *people).messages) == {"feed"}


def test_an_echo_says_nothing_new() -> None:
    """A message that repeats another speaker's words adds no substance."""
    first, second = read(
        talk(
            "ann: deploy of the billing service finished", "log: Deploy billing service finished"
        ).messages
    )
    assert first.substance > 0
    assert second.substance == 0


def test_the_rest_of_a_mentioned_name_is_a_name() -> None:
    """What stands behind mentions again and again is somebody's name; what is told elsewhere too is a thing."""
    window = talk(
        "ann: @Anna Maria Kowalska the build is red",
        "tom: ask @Anna Maria Kowalska, or @ben Postgres may be down",
        "ann: @ben Postgres is up, and postgres has always been",
        "tom: @olena Redis is full",
        "tom: @Іван Петренко глянь, будь ласка",
        "ann: @Іван Петренко вже дивиться",
    )
    named = people(read(window.messages))
    assert {"maria", "kowalska", "петренко"} <= named
    assert not named & {"postgres", "redis"}
