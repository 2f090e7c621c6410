"""Room for a data directory, and what is told where it lacks."""

import asyncio
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.embedded import space
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import _room_watched
from services.cli.embedded.space import lack
from services.cli.embedded.supervisor import Event, State, Supervisor
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


class Needy(DataDirectory):
    """A data directory that no disk has room for."""

    @property
    def needs(self) -> dict[Path, int]:
        """More than there is."""
        return {self.path: MUCH, self.nats: MUCH}


async def test_who_can_no_longer_tell_of_room_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps the disk from being looked at is told when it happens, not when everything ends."""
    monkeypatch.setattr(space, "LOOK_SECONDS", 0.01)
    told, seen = asyncio.Event(), list[Event]()

    def tell(event: Event) -> None:
        if event.state is State.FULL:
            raise ValueError("cannot be told")
        seen.append(event)
        told.set()

    async with _room_watched(Needy(tmp_path), Supervisor(tmp_path, tmp_path, tell)):
        async with asyncio.timeout(60):
            await told.wait()
    assert seen == [Event("disk", State.UNWATCHED, "(ValueError('cannot be told'))")]


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
