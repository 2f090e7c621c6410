"""Patterns of many words: quick, and the same as if every alternative were tried everywhere."""

import re

import pytest

from services.extractor import cues, verdicts
from services.extractor.patterns import branches, words

SAID = (
    "Two of 7 pumps fail, the third IS OUT OF ORDER; не працює насос, Не тримає тиск. п'ять of 12 short, "
    "ёлка падает, x-ray, 3 kg instead of 5"
)


def test_a_part_is_taken_apart_at_its_own_bars_alone() -> None:
    """A bar within brackets or behind a backslash belongs to its alternative."""
    assert branches(r"a(?:b|c)|[|d]e|f\|g") == ["a(?:b|c)", "[|d]e", r"f\|g"]


def test_alternatives_match_wherever_they_begin() -> None:
    """Letters of either case and script, digits, groups and what may be left out begin a match."""
    parts = (
        "out of order", "не (?:працює|тримає)", r"\d+ short", "(?:two|7) (?:of )?\\w+", "x?-?ray", "(?<!п'ять\\s)of 12",
        "пада[єе]т", "-?\\d kg instead of \\d",
    )  # fmt: skip
    joined = "|".join(part.replace(" ", r"\s+") for part in parts)
    plain = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)
    found = {match.span() for match in words(*parts).finditer(SAID)}
    assert found == {match.span() for match in plain.finditer(SAID)}
    assert len(found) == 8


def test_what_may_be_left_out_lets_the_next_begin() -> None:
    """An item that may be missing, a class, and a look around leave a branch to all letters it may begin with."""
    parts = (
        "(?:un)?do(?:ne)?",
        "x{0,2}yes",
        "b?at",
        "[qz]\\w+",
        "(?!no)n\\w+t",
        "(?:is|are|it's) off",
        "(?:a|b)*c{2}",
    )
    plain = re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)".replace("'", "['’ʼ]"), re.IGNORECASE)
    said = "undone do yes xxyes at Bat QUIT zip not nit noot Are off it’s off cc abcc off none"
    found = [match.group() for match in words(*parts).finditer(said)]
    assert found == [match.group() for match in plain.finditer(said)]
    assert len(found) == 13


@pytest.mark.parametrize(
    "part",
    [
        "м[я']ясо",
        "[a b]c",
        "[a*]b",
        r"a\s*b",
        r"\d*x",
        "of ?the",
        "of *the",
        "a {2}b",
        r"a\ b",
        r"it\'s",
    ],
)
def test_what_would_be_read_otherwise_is_refused(part: str) -> None:
    """Spaces, apostrophes and stars stand for more than themselves, which must not happen where they cannot."""
    with pytest.raises(ValueError, match="would not match as it is written"):
        words("plain", part)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (r"x\w*", "xyz"),
        (r"a\*b", "a*b"),
        (r"(?:of )?all", "of all"),
        (r"[\]x]y*", "]you"),
        ("it'?s", "it’s"),
    ],
)
def test_what_is_read_as_it_is_written_is_taken(part: str, said: str) -> None:
    """A star behind a sign is the sign's, a class may have brackets, and an apostrophe may be left out."""
    assert words(part).fullmatch(said)


def test_the_tables_have_what_they_had() -> None:
    """Words of the tables are found in any case and with any apostrophe."""
    for said in ("It’s Crashing", "DOESN’T work", "Не Працює", "зламано", "Ошибка"):
        assert cues.PROBLEM.search(said), said


def test_what_is_written_together_or_apart_is_found_in_both() -> None:
    """A space that may be left out may be left out, also before the sign at the end."""
    tables = {
        "goodbye": cues.LEAVING,
        "good night": cues.LEAVING,
        "has anyone seen it": cues.INVERTED,
        "a timeout": cues.PROBLEM,
        "it timed out": cues.PROBLEM,
        "headsup": cues.TURNING,
        "Tea or black coffee?": verdicts.CHOICE,
    }
    assert [said for said, table in tables.items() if not table.search(said)] == []
