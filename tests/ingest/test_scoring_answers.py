"""What a message is worth beside the one before it: questions, their answers, thanks."""

import pytest

from services.ingest.scoring import (
    NOISE,
    Conversation,
)
from services.ingest.wording import ScoredInput
from tests.ingest.test_scoring import alone, last


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which database does the billing service use?", "postgres 16"),
        ("Хто відповідає за резервні копії?", "Андрій Шевчук"),
        ("Какой порт у сервиса поиска?", "порт 8443"),
    ],
)
def test_short_answer_is_no_noise(question: str, answer: str) -> None:
    """A short answer to a question is worth more than the same words out of the blue."""
    answered = last(("Ada", question), ("Bob", answer))
    assert answered.label != NOISE
    assert answered.score > alone(answer).score


def test_one_word_answer_to_a_reply() -> None:
    """A one-word answer that replies to a question is no noise, even long after it."""
    question = ScoredInput("Ada", "Which database does billing use?", message_id="7")
    chatter = [ScoredInput("Bob", f"unrelated remark number {n}") for n in range(20)]
    conversation = Conversation(before=[question, *chatter])
    answer = ScoredInput("Cyd", "PostgreSQL", message_id="8", reply_to="7")
    assert conversation.score(answer, parent=question).label != NOISE


def test_an_answer_is_given_by_whom_was_asked() -> None:
    """A few words after a question to somebody else, or to somebody else, are no answer to it."""
    asked = ("Ada", "Bob: which database does billing use?")
    assert "short_answer" in dict(last(asked, ("Bob", "postgres 16")).factors)
    assert "short_answer" in dict(last(asked, ("Bob", "Ada: postgres 16")).factors)
    assert "short_answer" not in dict(last(asked, ("Cyd", "postgres 16")).factors)
    assert "short_answer" not in dict(last(asked, ("Bob", "Cyd: postgres 16")).factors)


def test_thanks_are_no_answer() -> None:
    """Who thanks after a question of another answers nothing."""
    thanks = last(("Ada", "Which port?"), ("Bob", "big help! thanks PortMaster"))
    assert thanks.label == NOISE
    assert "short_answer" not in dict(thanks.factors)


def test_a_question_to_all_is_worth_more() -> None:
    """A question that anyone may answer stands by itself; one to somebody goes on with their talk."""
    question = "what does cargo verify-project do?"
    to_all, to_one = alone(question), alone(f"ann42: {question}")
    assert to_all.score > to_one.score
    assert "asked_of_all" in dict(to_all.factors)
    assert "asked_of_all" not in dict(to_one.factors)


def test_thanks_after_a_question_stay_noise() -> None:
    """Courtesy is noise even where an answer was due."""
    for thanks in ("thanks", "дякую", "спасибо"):
        assert last(("Ada", "Is the server up again?"), ("Bob", thanks)).label == NOISE
