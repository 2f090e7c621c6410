"""How messages are called once their source has moved: nothing is mixed up, and nothing changes twice."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.renumbering import AS_SENT, Renumbering

SHIFTS = st.integers(-(10**18), -1)
KEYS = st.text(max_size=30) | st.integers(-(10**19), 10**19).map(str) | st.integers(0, 99).map(str)
RENUMBERINGS = st.builds(Renumbering, SHIFTS, st.sampled_from(["", "@ann", "0"]))


@given(RENUMBERINGS, KEYS)
def test_what_is_renumbered_stays_so(renumbering: Renumbering, key: str) -> None:
    """A new number is no number that could be renumbered, by this move or by another."""
    now = renumbering.key(key)
    assert renumbering.key(now) == now
    if now != key:
        assert now.startswith("-")
        assert Renumbering(-(10**18)).key(now) == now


@given(RENUMBERINGS, st.lists(st.integers(0, 10**18), unique=True))
def test_no_two_numbers_become_one(renumbering: Renumbering, numbers: list[int]) -> None:
    """Different messages stay different."""
    assert len({renumbering.key(str(number)) for number in numbers}) == len(numbers)


def test_what_is_a_number() -> None:
    """Only whole numbers as they are written, in ASCII, and so small that they become negative."""
    renumbering = Renumbering(-1000, "@ann")
    assert renumbering.key("0") == "-1000@ann"
    assert renumbering.key("999") == "-1@ann"
    for key in ("1000", "007", "-5", "+5", "5 ", "5\n", "٥", "5.0", "m5", "", "9" * 40):
        assert renumbering.key(key) == key
    assert AS_SENT.key("5") == "5"
