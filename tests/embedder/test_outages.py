"""A model that fails is left alone for a while and then tried with little, generation by generation."""

import pytest

from services.common.errors import ItemFailed, ModelUnavailable, ProviderBusy, ProviderFailing
from services.common.ids import uuid7
from services.embedder.outages import Outages


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def fail(outages: Outages, generation: object, error: Exception) -> float:
    """Ask a model that fails; return the wait that its tasks are told."""
    with pytest.raises(ProviderFailing) as failing, outages.asking(generation, can_wait=True):  # type: ignore[arg-type]
        raise error
    return failing.value.retry_seconds


def test_a_generation_is_left_alone_by_itself() -> None:
    """The wait that a provider asks for is kept, its tasks are told what it said, and no other generation waits."""
    clock = Clock()
    outages, failing, other = Outages(clock), uuid7(), uuid7()
    assert fail(outages, failing, ProviderBusy("quota", 7)) == 7
    reason = outages.why_not(failing, can_wait=False)
    assert reason
    assert (reason.error_class, reason.text) == ("ProviderFailing", "quota")
    assert outages.why_not(other, can_wait=False) is None
    assert (outages.to_wake(failing), outages.to_wake(other)) == (0, 1000)
    clock.now += 7
    assert outages.why_not(failing, can_wait=False) is None
    assert outages.to_wake(failing) == 64
    with outages.asking(failing, can_wait=False):
        pass
    assert outages.to_wake(failing) == 1000


def test_a_model_that_failed_is_tried_once_at_a_time() -> None:
    """While one batch finds out whether it answers, others of its lane wait; those of the other lane do not."""
    outages, generation = Outages(Clock()), uuid7()
    with outages.asking(generation, can_wait=True):
        assert outages.why_not(generation, can_wait=True) is None
    fail(outages, generation, ModelUnavailable("HTTP 500"))
    assert outages.to_wake(generation) == 64
    with outages.asking(generation, can_wait=True):
        assert outages.why_not(generation, can_wait=True)
        assert outages.why_not(generation, can_wait=False) is None
        assert outages.to_wake(generation) == 0
    assert outages.why_not(generation, can_wait=True) is None


def test_a_breaker_is_open_until_its_model_answers() -> None:
    """Trying it again does not close it, nor does the success of another; a retired generation's counts no more."""
    clock = Clock()
    outages, failing, other = Outages(clock), uuid7(), uuid7()
    assert not outages.any_open([failing, other])
    fail(outages, failing, ProviderBusy("quota", 7))
    clock.now += 7
    with outages.asking(other, can_wait=True):
        assert outages.any_open([failing, other])
    assert not outages.any_open([other])
    with outages.asking(failing, can_wait=True):
        assert outages.any_open([failing, other])
    assert not outages.any_open([failing, other])


def test_a_bad_text_says_nothing_about_its_model() -> None:
    """What is a text's own fault neither opens the breaker nor closes it."""
    outages, generation = Outages(Clock()), uuid7()
    fail(outages, generation, ModelUnavailable("HTTP 500"))
    with pytest.raises(ItemFailed), outages.asking(generation, can_wait=True):
        raise ItemFailed("refused", "no")
    assert outages.failures(generation) == 1
