"""A provider that keeps failing is left alone for a while, by a clock in the test's hands."""

import pytest

from services.common.breaker import Breaker


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A fresh clock."""
    return Clock()


def test_two_failures_are_forgiven(clock: Clock) -> None:
    """Fewer than three failures in a row cost no wait, and a success starts the count anew."""
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        assert breaker.wait_seconds() == 0
        breaker.succeeded()


def test_the_wait_doubles_up_to_its_limit(clock: Clock) -> None:
    """From the third failure on each wait is twice the last, and none is longer than the limit."""
    breaker = Breaker(clock, seconds_max=60)
    breaker.failed()
    breaker.failed()
    waits = []
    for _ in range(9):
        breaker.failed()
        waits.append(breaker.wait_seconds())
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_probe_decides(clock: Clock) -> None:
    """When the wait is over one call is let through; its failure opens again at once, its success closes."""
    breaker = Breaker(clock)
    for _ in range(3):
        breaker.failed()
    clock.now += 0.5
    assert breaker.wait_seconds() == 0.5
    clock.now += 0.5
    assert breaker.wait_seconds() == 0
    breaker.failed()
    assert breaker.wait_seconds() == 2
    clock.now += 2
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert breaker.wait_seconds() == 0


@pytest.mark.parametrize("asked_seconds", [0, 3])
def test_it_is_open_until_a_call_succeeds(clock: Clock, asked_seconds: float) -> None:
    """While the provider is tried the breaker is still open, however often that fails; two failures do not open it."""
    breaker = Breaker(clock)
    breaker.failed()
    breaker.failed()
    assert not breaker.is_open
    breaker.succeeded()
    for _ in range(1 if asked_seconds else 3):
        breaker.failed(asked_seconds)
    for _ in range(3):
        assert breaker.is_open
        clock.now += breaker.wait_seconds()
        assert breaker.is_open
        breaker.failed()
    breaker.succeeded()
    assert not breaker.is_open


def test_a_wait_that_was_asked_for_is_not_cut_short(clock: Clock) -> None:
    """Calls that were under way when a provider asked to be left alone, and then fail, do not bring it back sooner."""
    breaker = Breaker(clock)
    breaker.failed(600)
    for _ in range(3):
        breaker.failed()
    assert breaker.wait_seconds() == 600


def test_an_outage_of_days_is_survived(clock: Clock) -> None:
    """However many failures there were, the wait is the limit."""
    breaker = Breaker(clock, seconds_max=60)
    for _ in range(5000):
        breaker.failed()
    assert breaker.wait_seconds() == 60
