"""`winnow demo` ends where what it waits for will not come."""

import pytest

from services.cli.demonstrate import is_stuck
from winnow.pipeline.v1 import pipeline_pb2 as pb


@pytest.mark.parametrize(
    ("stages", "vectors_missing", "dead", "stuck"),
    [
        ([], 1, 1, True),
        ([pb.StageStatus(stage="window", scheduled=1)], 1, 1, True),
        ([pb.StageStatus(stage="embed", scheduled=1)], 1, 1, False),
        ([pb.StageStatus(stage="extract", leased=1)], 1, 1, False),
        ([], 0, 1, False),
        ([], 1, 0, False),
    ],
)
def test_dead_tasks_end_the_wait(
    stages: list[pb.StageStatus], vectors_missing: int, dead: int, stuck: bool
) -> None:
    """Vectors are waited for as long as anything may bring them, and no longer."""
    status = pb.GetStatusResponse(stages=stages, vectors_missing=vectors_missing, tasks_dead=dead)
    assert is_stuck(status) == stuck
