"""A test that hangs ends the run, and shows where it hung."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WATCHED = """
from tests import watchdog
watchdog.GRACE_SECONDS = 0.5
pytest_plugins = ["tests.watchdog"]
"""
IN_A_TASK = """
import asyncio

async def hears_nothing():
    while True:
        try:
            while True:
                await asyncio.sleep(0)
        except BaseException:
            continue

async def test_it():
    task = asyncio.create_task(hears_nothing())
    await asyncio.wait([task])
"""
IN_TEARDOWN = """
import threading
import pytest

@pytest.fixture
def stuck():
    yield
    while True:
        try:
            threading.Event().wait()
        except BaseException:
            continue

def test_it(stuck):
    assert False
"""
IN_C = """
import re

def test_it():
    while True:
        try:
            re.match("(?:a+)+b", 40 * "a")
        except BaseException:
            continue
"""


@pytest.mark.parametrize(
    ("hanging", "shown"),
    [
        (IN_A_TASK, ["test_it goes on though its time is up", "in hears_nothing"]),
        (IN_TEARDOWN, ["test_it goes on though its time is up", "in stuck"]),
        (IN_C, ["Timeout (0:00:02)!", "in test_it"]),
    ],
)
def test_a_hang_that_swallows_its_timeout_ends_the_run(
    tmp_path: Path, hanging: str, shown: list[str]
) -> None:
    """Where the error of a timeout is lost, the run ends all the same, and shows where it hung."""
    (tmp_path / "conftest.py").write_text(WATCHED)
    (tmp_path / "test_hanging.py").write_text(hanging)
    options = ["-o", "timeout=1", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert all(text in run.stderr for text in shown), run.stderr
