"""Ends a test that hangs although its time is up, and with it the run, and shows where it hangs.

pytest-timeout raises where the process is at that moment. In a task that nobody awaits, in a callback of a client or
under a broad `except` its error is lost, and the test hangs on; in C it is not raised at all. What watches here is a
thread, and behind it one of `faulthandler`, which needs no interpreter.
"""

import asyncio
import faulthandler
import gc
import os
import threading
from collections.abc import Generator
from typing import Any, Final

import pytest

GRACE_SECONDS: float = 30.0
_STDERR: Final = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real standard error, where nothing is captured yet."""
    config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close it."""
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch the fixtures."""
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch the test."""
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch what is taken down: pytest lets go of `faulthandler` when a test has failed."""
    return (yield from _watched(item))


def _watched(item: pytest.Item) -> Generator[None, Any, Any]:
    allowed = _seconds_allowed(item)
    if not allowed:
        return (yield)
    stderr = item.config.stash[_STDERR]
    watch = threading.Timer(allowed + GRACE_SECONDS, _end, (item.nodeid, stderr))
    watch.daemon = True
    watch.start()
    faulthandler.dump_traceback_later(allowed + 2 * GRACE_SECONDS, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        watch.cancel()
        faulthandler.cancel_dump_traceback_later()


def _seconds_allowed(item: pytest.Item) -> float:
    """What pytest-timeout allows the test; 0 for any time."""
    if mark := item.get_closest_marker("timeout"):
        return float(mark.args[0])
    chosen = item.config.getoption("timeout", None)
    return float(item.config.getini("timeout") or 0 if chosen is None else chosen)


def _end(name: str, stderr: int) -> None:
    """Say which test hangs and in what: every task of asyncio, and every thread."""
    with os.fdopen(os.dup(stderr), "w") as out:
        out.write(f"\n{name} goes on though its time is up:\n")
        for each in gc.get_objects():
            if isinstance(each, asyncio.Task) and not each.done():
                each.print_stack(file=out)
    faulthandler.dump_traceback(file=stderr)
    os._exit(1)
