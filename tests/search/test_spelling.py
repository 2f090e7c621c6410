"""How texts are spelt for the index of words."""

import itertools
import unicodedata

import pytest

from services.search.spelling import apart, bare, joins, other_spellings, plain
from tests.conftest import Deployment

# Both know newer characters at different times.
_CHARACTERS = [
    chr(code)
    for code in (*range(1, 0xD800), *range(0xE000, 0x1FB00))
    if unicodedata.category(chr(code)) != "Cn"
]


@pytest.mark.parametrize("frame", ["{}", "б{}я", "b{}y"])
async def test_a_query_is_spelt_as_the_index_spells_texts(
    deployment: Deployment, frame: str
) -> None:
    """Any character, alone and within a word of either alphabet, must become what PostgreSQL makes of it."""
    texts = [frame.format(character) for character in _CHARACTERS]
    rows = await deployment.admin.fetch(
        "select spine.plain(t.text) as text from unnest($1::text[]) with ordinality as t (text, n) order by t.n",
        texts,
    )
    pairs = zip(texts, rows, strict=True)
    assert [text for text, row in pairs if plain(text) != row["text"]] == []


async def test_a_query_is_taken_apart_as_the_index_takes_texts(deployment: Deployment) -> None:
    """Whether four characters join words, and what they are apart, must be what PostgreSQL makes of them."""
    texts = ["".join(each) for each in itertools.product("aЯ1_./@:- ", repeat=4)]
    rows = await deployment.admin.fetch(
        "select spine.joins(t.text) as joins, spine.apart(t.text) as apart "
        "from unnest($1::text[]) with ordinality as t (text, n) order by t.n",
        texts,
    )
    pairs = zip(texts, rows, strict=True)
    assert [text for text, row in pairs if (joins(text), apart(text)) != tuple(row)] == []


async def test_names_keep_their_signs_as_in_the_index(deployment: Deployment) -> None:
    """Whatever stands around a name with a sign, a query must have it as PostgreSQL has it, and without its sign."""
    parts = (
        "C++",
        "C#",
        ".NET",
        "я",
        "«",
        "<",
        " ",
        "(",
        "/",
        "1",
        "_",
        ".",
        "+",
        "-",
        "#",
        "`",
        "*",
        "=",
        "{",
        ">",
    )
    texts = ["".join(each) for each in itertools.product(parts, repeat=3)]
    rows = await deployment.admin.fetch(
        "select spine.plain(t.text) as plain, spine.bare(spine.plain(t.text)) as bare, spine.names(t.text) as names "
        "from unnest($1::text[]) with ordinality as t (text, n) order by t.n",
        texts,
    )
    pairs = list(zip(texts, rows, strict=True))
    assert [
        text
        for text, row in pairs
        if (plain(text), bare(plain(text))) != (row["plain"], row["bare"])
    ] == []
    # Only of a text that may have names it is looked up what they are without their signs.
    assert [text for text, row in pairs if row["plain"] != row["bare"] and not row["names"]] == []


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("пʼятниця", ("пятниця",)),
        ("пятниця", ("пʼятниця",)),
        ("обєкт", ("обʼєкт",)),
        ("звязок", ("звʼязок",)),
        ("підїзд", ("підʼїзд",)),
        ("інєкція", ("інʼєкція",)),
        ("база", ()),
        ("оновлення", ()),
        ("payment", ()),
    ],
)
def test_an_apostrophe_may_be_left_out(word: str, others: tuple[str, ...]) -> None:
    """A word must be looked for with and without the apostrophe that Ukrainian has there, and no other be touched."""
    assert other_spellings(word) == others
