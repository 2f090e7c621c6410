"""Patterns of many words: quick, and the same as if every alternative were tried everywhere."""

import re

from services.extractor import cues
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


def test_the_tables_have_what_they_had() -> None:
    """Words of the tables are found in any case and with any apostrophe."""
    for said in ("It’s Crashing", "DOESN’T work", "Не Працює", "зламано", "Ошибка"):
        assert cues.PROBLEM.search(said), said
