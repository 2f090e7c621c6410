"""What `winnow doctor` says of what it found."""

from services.cli.doctor import said
from services.common.llama import SelfTest


def test_a_self_test_is_told_in_words() -> None:
    """What was measured must be said to a person, not shown as the object that holds it."""
    assert said(SelfTest(384, 0.99993658, 0.999)) == (
        "384 dimensions, batched equals single to 0.99994"
    )
