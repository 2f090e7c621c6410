"""Answers: only what the cited messages say, or quotes, or that nothing is known."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.cli.answering import AskedAnswer, Passage, Sentence, answer, is_grounded
from services.cli.asking import read_passages
from services.common.errors import ItemFailed, ModelUnavailable
from winnow.search.v1 import search_pb2 as pb

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
    found = await answer("why?", PASSAGES, writer)
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
    found = await answer("why?", PASSAGES, writer)
    assert found.kind == "quoted"
    assert (
        found.sentences[0].text == "Ann, 2026-03-03 06:02: The backup failed: disk of db-2 is full."
    )


async def test_not_knowing_is_said() -> None:
    """If nothing relevant was found, or the model says so, the answer must be that it is not known."""
    far = [Passage(1, "[1] Ann, 2026-03-03 06:02: lunch at noon?", False, True)]
    assert (await answer("capital of Mongolia?", far, said())).kind == "unknown"
    assert (await answer("why?", [], None)).kind == "unknown"
    assert (await answer("why?", PASSAGES, said(known=False))).kind == "unknown"


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("When does version 3.7 come out?", ["3.7"]),
        ("is v3.7 out", ["v3.7"]),
        ("What was WEB-1433 about?", ["WEB-1433"]),
        ("чому падає test_labels?", ["test_labels"]),
        ("who wrote nginx.conf?", ["nginx.conf"]),
        ("Why did disk db_2 fill up?", []),
        ("What about db-2 and db-3?", ["db-3"]),
        ("How were 40 GB freed in 2025, at 06:10, on 2026-03-07, by the 3rd of 5?", []),
        ("What is 0 GB?", []),
        ("What did e.g. Ann say of GitHub and/or db 2?", []),
        ("Who has 4 GB, and who 400?", ["400"]),
    ],
)
async def test_what_nothing_mentions_is_named(question: str, missing: list[str]) -> None:
    """A version, a ticket or a file that no passage has must be named, but not when something was, nor how many."""
    found = await answer(question, PASSAGES, None)
    assert list(found.missing) == missing
    assert found.kind == ("quoted" if not missing or "db-2" in question else "unknown")
    assert bool(found.nearest) == (found.kind == "unknown")


async def test_of_what_nothing_mentions_no_model_is_asked() -> None:
    """A model that would tell of another version must not be asked, nor be believed where a part is known."""
    told = ("Version 3.7 has a full disk.", 1, "disk of db-2 is full")
    assert (await answer("is 3.7 out?", PASSAGES, said(told))).kind == "unknown"
    found = await answer("is 3.7 on db-2?", PASSAGES, said(told))
    assert (found.kind, found.ungrounded, found.missing) == ("quoted", 1, ("3.7",))


async def test_what_is_quoted_says_something_new() -> None:
    """What only carries talk on, and what rests on messages that are shown already, must leave its place to others."""
    passages = [
        Passage(1, "[1] Ann: the backup failed", True, True, frozenset({"a"})),
        Passage(2, "[2] Bob: ugh", True, False, frozenset({"b"}), says_nothing=True),
        Passage(3, "[3] problem: the backup failed", True, True, frozenset({"a"})),
        Passage(4, "[4] solution: rotate the logs", True, True, frozenset({"a", "c"})),
        Passage(5, "[5] Ann: rotate the logs", True, True, frozenset({"c"})),
        Passage(6, "[6] Eve: disk db-2 is full again", True, True, frozenset({"e"})),
    ]
    found = await answer("why?", passages, None)
    assert [each.citation for each in found.sentences] == [1, 4, 6]
    alone = await answer("why?", passages[1:2], None)
    assert [each.citation for each in alone.sentences] == [2]


async def test_an_answer_is_shown_before_the_question_that_resembles_this_one() -> None:
    """What only asks comes last, and what may answer it is shown, though it has no word of the question."""
    passages = [
        Passage(1, "[1] Ann: how long are logs kept?", True, True, frozenset({"a"}), asks=True),
        Passage(2, "[2] Bob: 30 days", False, False, frozenset({"b"}), answers=frozenset({1})),
        Passage(
            3, "[3] Eve: soup is ready", False, False, frozenset({"e"}), answers=frozenset({4})
        ),
        Passage(4, "[4] Dan: is there soup?", False, False, frozenset({"d"}), asks=True),
    ]
    found = await answer("how long do we keep logs?", passages, None)
    assert (found.kind, [each.citation for each in found.sentences]) == ("quoted", [2, 1])


async def test_a_question_that_is_only_near_answers_nothing() -> None:
    """Any two short questions are near: without a word in common neither it nor what was told to it is shown."""
    asked = Passage(1, "[1] Ann: and how many now?", True, False, frozenset({"a"}), asks=True)
    told = Passage(2, "[2] Bob: 31", False, False, frozenset({"b"}), answers=frozenset({1}))
    found = await answer("how much tax do we pay?", [asked, told], None)
    assert found.kind == "unknown"


async def test_what_was_ranked_before_what_is_near_is_shown_as_well() -> None:
    """The decision that replaced another has fewer words of the question at times; alone it is no answer."""
    passages = [
        Passage(1, "[1] Ann: back to 800, only in town", False, True, frozenset({"a"})),
        Passage(2, "[2] Bob: soup is ready", False, False, frozenset({"b"})),
        Passage(3, "[3] Ann: free delivery from 1000", True, True, frozenset({"c"})),
        Passage(4, "[4] Eve: delivery is late", False, True, frozenset({"d"})),
    ]
    found = await answer("from how much on is delivery free?", passages, None)
    assert [each.citation for each in found.sentences] == [1, 3]
    alone = await answer("from how much on is delivery free?", passages[:2], None)
    assert alone.kind == "unknown"


def _item(citation: int, author: str, text: str, minute: int, reply_to: str = "") -> pb.ContextItem:
    """A packed message of a chat."""
    item = pb.ContextItem(
        citation=citation, message_ids=[str(citation)], text=f"[{citation}] {text}"
    )
    message = item.result.message
    message.external_id, message.text, message.source_id = str(citation), text, "chat"
    message.author.external_id, message.reply_to_external_id = author, reply_to
    message.importance.score = 0.5
    message.sent_at.FromSeconds(60 * minute)
    return item


def test_what_may_answer_a_question_is_told_to_it() -> None:
    """A reply does, and what others say soon after, among the best; the asker, other replies and later talk do not."""
    packed = pb.PackContextResponse(
        items=[
            _item(1, "ann", "how long are logs kept?", 0),
            _item(2, "bob", "30 days", 8),
            _item(3, "ann", "legal wants to know", 1),
            _item(4, "eve", "it is ready", 9, reply_to="7"),
            _item(5, "dan", "soup is ready", 90),
            _item(6, "fay", "a month", 20),
            _item(7, "gil", "a month, says the law", 900, reply_to="1"),
        ]
    )
    found = read_passages(packed)
    assert [each.citation for each in found if each.asks] == [1]
    assert [each.citation for each in found if each.answers] == [2, 7]


@pytest.mark.parametrize(
    ("near_score", "score", "is_near"), [(0.4, 0.4, True), (0.4, 0.39, False), (0.0, 0.9, False)]
)
def test_what_is_near_by_its_meaning_is_told(
    near_score: float, score: float, is_near: bool
) -> None:
    """From the cosine on that counts as near here; nothing is where none is known."""
    item = _item(1, "ann", "logs are kept for 30 days", 0)
    item.result.semantic.score, item.own_words, item.concerns_named = score, 0.5, True
    (found,) = read_passages(pb.PackContextResponse(items=[item], near_score=near_score))
    assert (found.is_near, found.own_words, found.concerns_named) == (is_near, 0.5, True)


LACKING = [
    Passage(1, "[1] Priya: the new intern starts monday", True, True, words=0.3),
    Passage(2, "[2] Orla: a laptop is ordered", False, False, words=0.1),
]


async def test_what_lacks_the_word_that_decides_is_no_answer() -> None:
    """Where nothing has enough of the question, that must be said, with the word, and what is nearest be shown."""
    question = "What is the salary of the new intern?"
    found = await answer(question, LACKING, None, ["salary", "a", "b", "c"])
    assert found == AskedAnswer("unknown", (), missing=("salary", "a", "b"), nearest=(1,))
    enough = [replace(LACKING[0], words=0.5), LACKING[1]]
    assert (await answer(question, enough, None, ["salary"])).kind == "quoted"


async def test_what_has_no_word_in_common_may_be_near_enough() -> None:
    """In another language nothing may have a word of the question: then nearness alone must decide."""
    near = [replace(each, words=0.0) for each in LACKING]
    assert (await answer("Яка зарплата?", near, None, ["зарплата"])).kind == "quoted"


async def test_a_model_decides_whether_it_knows_though_a_word_is_missing() -> None:
    """Who reads may find the answer in other words; if nothing it says is grounded, the word is missing after all."""
    question = "What is the salary of the new intern?"
    told = said(("She starts on Monday.", 1, "new intern starts monday"))
    assert (await answer(question, LACKING, told, ["salary"])).kind == "generated"
    invented = said(("It is 500.", 1, "the salary is 500"))
    found = await answer(question, LACKING, invented, ["salary"])
    assert (found.kind, found.missing, found.ungrounded) == ("unknown", ("salary",), 1)


OF_SAM = [
    Passage(1, "[1] Dana: I ordered two tubs of stock cubes", True, True, words=0.9, own_words=0.9),
    Passage(2, "[2] Sam: makes sense", True, True, words=0.7, concerns_named=True),
    Passage(3, "[3] Ann: stock cubes, who?", True, True, words=0.9, asks=True, own_words=0.5),
]


async def test_what_others_said_is_no_answer_of_somebody_who_is_named() -> None:
    """Where what has the question is by others and mentions them not, that must be said, and they must be shown."""
    question = "What did Sam decide about the stock cubes?"
    found = await answer(question, OF_SAM, None, [], ["Sam"])
    assert found == AskedAnswer("unknown", (), nearest=(1, 2, 3), silent=("Sam",))
    assert (await answer(question, OF_SAM, None)).kind == "quoted"
    told = said(("Dana ordered two tubs.", 1, "I ordered two tubs"))
    assert (await answer(question, OF_SAM, told, [], ["Sam"])).kind == "generated"


async def test_a_name_of_several_words_is_one() -> None:
    """Whoever is asked about is told as the question calls them, not part by part as if they were several."""
    question = "Did Sam  O'Neill or Mo decide on the stock cubes?"
    found = await answer(question, OF_SAM, None, [], ["sam", "O'Neill", "Mo", "Ann"])
    assert found.silent == ("Sam O'Neill", "Mo", "Ann")


@pytest.mark.parametrize(
    "theirs",
    [{"own_words": 0.5}, {"is_near": True}, {"answers": frozenset({3})}],
    ids=["has the words", "is near", "is told to who asked with them"],
)
async def test_what_who_is_named_said_of_it_answers(theirs: dict[str, Any]) -> None:
    """What is theirs must answer by words of its own, by its meaning alone, or as an answer to who had the words."""
    passages = [OF_SAM[0], replace(OF_SAM[1], **theirs), OF_SAM[2]]
    assert (await answer("stock cubes of Sam?", passages, None, [], ["Sam"])).kind == "quoted"
    others = [replace(each, concerns_named=False) for each in passages]
    assert (await answer("stock cubes of Sam?", others, None, [], ["Sam"])).kind == "unknown"
