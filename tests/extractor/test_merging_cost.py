"""Comparing takes its time, which nobody else of the process waits for."""

import threading
from typing import Any

import pytest

from services.extractor import deciding, merging
from tests.conftest import Deployment
from tests.extractor.known import knowing
from tests.extractor.test_merging import DISK, DISK_AGAIN, tell


async def test_atoms_are_compared_beside_the_event_loop(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dozen long texts take up to a second to compare: calls and leases of the process go on meanwhile."""
    threads: list[threading.Thread] = []

    def decide(*asked: Any) -> deciding.Decision:
        threads.append(threading.current_thread())
        return deciding.decide(*asked)

    monkeypatch.setattr(merging, "decide", decide)
    async with knowing(deployment) as knowledge:
        await tell(knowledge, DISK, DISK_AGAIN)
        assert len(await knowledge.live()) == 1
    assert threads
    assert threading.main_thread() not in threads
