"""A line of code is told from prose that looks like it."""

import pytest

from services.ingest.features import CODE_LINE
from services.ingest.scoring import score
from services.ingest.wording import Context, ScoredInput


@pytest.mark.parametrize("run", [")", "};)", "`", "a ", "( "])
def test_a_long_run_of_signs_is_no_line_of_code_at_once(run: str) -> None:
    """What only begins like a line of code is found to be none in one look, however many signs follow."""
    assert not CODE_LINE.fullmatch(f"-a({100_000 * run}\u00b7")


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        *(
            (text, True)
            for text in ("f()", "f(g(x));", "x = 1", "if {", "`x`", "f();}", "a.b(1)})")
        ),
        *((text, False) for text in ("f() x", "f", "`x` y", "say (this) or", "(x)", "f(`")),
    ],
)
def test_a_line_of_code_is_known_by_how_it_ends(text: str, is_code: bool) -> None:
    """A name with a call, an assignment or a block after it is code and nothing else; words behind it make it prose."""
    assert bool(CODE_LINE.fullmatch(text)) == is_code


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        ('retries = 5 if slow else "none"', True),
        ('hosts = ["a", "b"]', True),
        ("total = add(price, 20)", True),
        ("pool_size = 40 did it, thank you", False),
        ('mode = "strict", otherwise it skips rows', False),
    ],
)
def test_prose_after_an_assignment_is_no_code(text: str, is_code: bool) -> None:
    """Who writes which value helped writes no line of code."""
    factors = score(ScoredInput("Ada", text), Context()).factors
    assert ("code_only" in dict(factors)) == is_code
