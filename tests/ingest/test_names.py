"""Names of those who take part in a talk, in the forms by which others call them."""

import pytest

from services.ingest.scoring import NOISE, Conversation, score
from services.ingest.wording import Context, Reading, ScoredInput, read


def said(text: str, *authors: str) -> Reading:
    """A text, read after a message of each of some authors."""
    recent = [read(ScoredInput(author, "добре"), Context()) for author in authors]
    return read(ScoredInput("Ada", text), Context(recent))


@pytest.mark.parametrize(
    ("author", "called"),
    [
        ("Галина Коваль", "Галино"),
        ("Олег Бондар", "Олеже"),
        ("Ольга", "Ользі"),
        ("Богдан Петрович", "Богдане Петровичу"),
        ("Марійка", "Марійку"),
        ("Сергей", "Сергея"),
        ("Шевченко Павло", "Шевченка Павла"),
    ],
)
def test_a_name_in_any_case_says_nothing(author: str, called: str) -> None:
    """A name that somebody who spoke before is called by is no word of the trade, whatever its ending."""
    text = "сервер упав"
    assert said(f"{text}, {called}", author).content == said(text).content
    assert said(f"{text}, {called}", author).specific == said(text).specific


def test_other_words_are_no_names() -> None:
    """A word that only begins like a name stays, and so does one that nobody here is called by."""
    text = "маркетинг для олігарха, Степане"
    assert said(text, "Марк", "Ол").specific == said(text, "Bob").specific


def test_a_name_alone_is_what_is_said() -> None:
    """Who is only named may be what was asked for; thanks to somebody are thanks."""
    assert said("Орест Гнатюк", "Орест Гнатюк").specific
    assert not said("Дякую, Оресте Гнатюку", "Орест Гнатюк").content


def test_thanks_to_somebody_are_noise() -> None:
    """Thanks by name and patronymic are noise as they are without."""
    conversation = Conversation()
    conversation.score(ScoredInput("Лідія Романівна", "Ключі в мене"))
    thanks = ScoredInput("Ada", "Дякую вам, Лідіє Романівно, виручили")
    assert conversation.score(thanks).label == NOISE != score(thanks, Context()).label
