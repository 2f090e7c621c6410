"""When what failed is tried again."""

from services.common.work import (
    RETRY_SECONDS_MAX,
    retry_seconds,
)


def test_a_task_is_tried_again_within_the_hour() -> None:
    """However often a task failed, and however long a lease is, the next attempt is at most about an hour away."""
    assert 0.8 * 2 <= retry_seconds(2, 1) <= 1.2 * 2
    assert 0.8 * 16 <= retry_seconds(2, 4) <= 1.2 * 16
    assert retry_seconds(600, 10) <= 1.2 * RETRY_SECONDS_MAX
    assert retry_seconds(2, 100_000) <= 1.2 * RETRY_SECONDS_MAX
