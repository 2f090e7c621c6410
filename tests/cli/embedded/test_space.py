"""Room for a data directory, and what is told where it lacks."""

from pathlib import Path

from rich.console import Console

from services.cli.embedded.space import lack
from services.cli.status import figures
from winnow.pipeline.v1 import pipeline_pb2 as pb

MUCH = 1 << 60


def test_what_lacks_room_is_named(tmp_path: Path) -> None:
    """The place, what it has and what it needs are told; a place that is not there yet lacks nothing."""
    needs = {tmp_path / "absent": MUCH, tmp_path: 1 << 10}
    assert lack(needs) == ""
    told = lack({**needs, tmp_path: MUCH})
    assert told.startswith(f"{tmp_path} has ")
    assert told.endswith(f" MiB free, {MUCH >> 20} MiB are needed")


def test_a_full_disk_is_told_with_the_figures() -> None:
    """What is there is still found on a full disk, so that nothing else in the figures says that nothing is saved."""

    def shown(lacking: str) -> str:
        console = Console(width=200)
        with console.capture() as capture:
            console.print(figures(pb.GetStatusResponse(), "4 serving", lacking))
        return capture.get()

    assert "disk" not in shown("")
    assert "/[data] has 3 MiB free: once it is full, nothing new is saved" in shown(
        "/[data] has 3 MiB free"
    )
