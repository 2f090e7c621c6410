"""Whom a query names: parts of authors' names in any case and script, and words that are names besides."""

import pytest

from services.search.names import Names

TEAM = (
    "Olena Marchuk",
    "Андрій Гнатюк",
    "Надія Кравець",
    "Слава Бойко",
    "Ольга Ковальська",
    "Ігор",
    "Соля",
    "Will Archer",
    "Mark Dolan",
    "May Lin (Acme)",
    "Tobias",
    "jkowalski",
    "PhD C",
    "Professor C",
)


def whom(query: str) -> dict[str, set[str]]:
    """Ask a team's names."""
    names = Names()
    for name in TEAM:
        names.add(name, [name])
    return {word: set(named.authors) for word, named in names.named(query).items()}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("what did olena decide about the release?", "Olena Marchuk"),
        ("Olena's fix for the timeouts", "Olena Marchuk"),
        ("рішення Олени про реліз", "Olena Marchuk"),
        ("що обіцяв Андрій?", "Андрій Гнатюк"),
        ("питали Андрія", "Андрій Гнатюк"),
        ("написати андрієві", "Андрій Гнатюк"),
        ("What did Andriy promise?", "Андрій Гнатюк"),
        ("andrii about fonts", "Андрій Гнатюк"),
        ("Hnatiuk on fonts", "Андрій Гнатюк"),
        ("правило Гнатюка", "Андрій Гнатюк"),
        ("рішення Кравець", "Надія Кравець"),
        ("запитай у Кравця", "Надія Кравець"),
        ("думка Надії", "Надія Кравець"),
        ("чи казав Слава щось", "Слава Бойко"),
        ("Слава Бойко про склад", "Слава Бойко"),
        ("листи Ользі", "Ольга Ковальська"),
        ("плани ковальської", "Ольга Ковальська"),
        ("від Ігоря", "Ігор"),
        ("what does Ihor think", "Ігор"),
        ("чергування Тобіаса", "Tobias"),
        ("why does Will want another van", "Will Archer"),
        ("did Mark check it", "Mark Dolan"),
        ("what May said", "May Lin (Acme)"),
        ("Mark's cells", "Mark Dolan"),
        ("will archer on the van", "Will Archer"),
        ("@jkowalski invoices", "jkowalski"),
        ("jkowalski: invoices", "jkowalski"),
        ("(jkowalski) invoices.", "jkowalski"),
        ("invoices of jkowalski.", "jkowalski"),
        ("what PhD C said", "PhD C"),
    ],
)
def test_a_name_is_known_in_any_form(query: str, name: str) -> None:
    """Cases, possessives, the other script and both parts of a name must name who is called so, and nobody else."""
    assert set().union(*whom(query).values()) == {name}


@pytest.mark.parametrize(
    "query",
    [
        "will the vans be replaced",
        "Will the vans be replaced?",
        "may minors ride",
        "May minors ride?",
        "mark the docks",
        "Mark the docks.",
        "MARK THE DOCKS",
        "є надія на весну",
        "Надія є.",
        "слава богу",
        "яку марку кави беремо",
        "солі немає",
        "Acme invoices",
        "c or rust",
        "Tobi",
        "https://olena.example.com/r/1",
        "what is in src/olena/main.py",
        "olena@example.com",
        "",
    ],
)
def test_an_ordinary_word_names_nobody(query: str) -> None:
    """A word that is a name besides must say what it says unless it is written as a name; a company is nobody."""
    assert whom(query) == {}


def test_what_many_share_names_nobody() -> None:
    """A title or a company that stands in many names must name none of them, and the rest of the name still do."""
    names = Names()
    for first in ("Ann", "Bob", "Eve", "Dan", "Olha"):
        names.add(first, [f"{first} Contoso"])
    assert not names.named("what did Contoso promise")
    assert names.named("what did Dan Contoso promise")["dan"].authors == {"Dan"}


@pytest.mark.parametrize(
    ("name", "query", "text", "stands"),
    [
        ("Tom", "що вирішив Тома", "ask Tom about it", True),
        ("Olena", "what did Olena decide", "думка Олени така", True),
        ("Ольга", "що обіцяли Ользі", "Ольга чекає", True),
        ("Olga", "що обіцяли Ользі", "Olga waits", True),
        ("Дмитро", "що відповіли Дмитрові", "про це питав Дмитро", True),
        ("Павел", "что решили без Павла", "Павел против", True),
        ("Will", "what does Will say", "ask Will", True),
        ("Will", "what does Will say", "the vans will come", False),
        ("Olena", "what did Olena decide", "the vans come at 10", False),
        ("Ольга", "що обіцяли Ользі", "вільха цвіте", False),
    ],
)
def test_a_text_is_known_to_mention_somebody(
    name: str, query: str, text: str, stands: bool
) -> None:
    """Whom a question names in some case is known in a text in any other and in either script, and not by a word."""
    names = Names()
    names.add("x", [name])
    [named] = names.named(query).values()
    assert Names.of(named.spelt).stands_in(text) is stands


def test_however_many_are_named_each_is_known_in_a_text() -> None:
    """That no name may be shared by many is a rule for finding whom a word names, not whether one of them is meant."""
    alike = ["андрій", "андрей", "andriy", "andrii"]
    assert Names.of(alike).stands_in("питайте Андрія")
    assert not Names.of([]).stands_in("питайте Андрія")
