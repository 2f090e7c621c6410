"""Failpoints do nothing unless they are armed, only on one machine, and then exactly what they were told."""

import ast
import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import services
from services.common import failpoints
from services.common.addresses import AddressSettings
from services.common.errors import InvalidSetting
from services.common.failpoints import POINTS, Arm, FailpointSettings
from tests.conftest import run_winnow

PRODUCT = Path(services.__path__[0])


def reached() -> Counter[str]:
    """The points that the product's source reaches."""
    found: Counter[str] = Counter()
    for path in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}: a point's name must stand there"
                found[name.value] += 1
    return found


def test_every_point_stands_in_the_source() -> None:
    """Each point that can be armed is reached in exactly one place, and there are no others."""
    found = reached()
    assert found.keys() == POINTS
    assert [name for name, count in found.items() if count > 1] == []


def test_points_are_off_by_default() -> None:
    """Without the setting nothing is armed, and with an empty one neither."""
    assert FailpointSettings().failpoints == ""
    failpoints.arm(FailpointSettings(), AddressSettings())
    assert failpoints._armed == []


@pytest.mark.parametrize("address", ["0.0.0.0:15053", "10.0.0.7:15053", "[::]:15053", "db-2:1"])
def test_production_refuses_to_start_with_points(address: str) -> None:
    """A service that other machines could reach does not start while a failpoint is armed; the reason is one line."""
    settings = FailpointSettings(failpoints="worker.claimed=crash@1")
    with pytest.raises(InvalidSetting, match="WINNOW_FAILPOINTS: only for tests"):
        failpoints.arm(settings, AddressSettings(embedder_address=address))
    ran = run_winnow(
        *("run", "embedder"),
        env={"WINNOW_FAILPOINTS": "worker.claimed=crash@1", "WINNOW_EMBEDDER_ADDRESS": address},
    )
    assert ran.returncode != 0
    assert "WINNOW_FAILPOINTS: only for tests on one machine" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "text",
    [
        "worker.claimed",
        "worker.claimed=crash",
        "worker.claimed=crash@0",
        "worker.claimed=explode@1",
        "worker.clamied=crash@1",
        "worker.claimed=crash@1;relay.taken=crash@1",
    ],
)
def test_a_mistake_is_refused(text: str) -> None:
    """An order that is misspelt, or names no point, is refused instead of ignored."""
    with pytest.raises(InvalidSetting, match="WINNOW_FAILPOINTS"):
        Arm.read(text)


def test_an_order_acts_at_its_hit_alone() -> None:
    """A point that is reached often acts once, at the hit that was asked for, and only for its stage."""
    order = Arm.read("worker.*:embed=crash@2")
    names = ["worker.claimed:embed", "worker.claimed:window", "worker.written:embed"] * 3
    assert [order.is_due(name) for name in names] == [False, False, True, *[False] * 6]


async def test_a_sleep_keeps_only_its_own_work_waiting() -> None:
    """A sleeping point lets the rest of the process go on."""
    failpoints._armed[:] = [Arm.read("embed.encoded=sleep:30@1")]
    try:
        sleeping = asyncio.create_task(failpoints.reach("embed.encoded"))
        await failpoints.reach("embed.read")
        await asyncio.sleep(0)
        assert not sleeping.done()
        sleeping.cancel()
    finally:
        failpoints._armed.clear()


def test_a_crash_is_a_kill() -> None:
    """A crash runs no handler and leaves a line that says where it was."""
    code = """if True:
        import asyncio, atexit
        from services.common import failpoints
        atexit.register(print, "handled")
        failpoints._armed[:] = [failpoints.Arm.read("relay.taken=crash@1")]
        try:
            asyncio.run(failpoints.reach("relay.taken"))
        finally:
            print("unwound")
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL
    assert ran.stdout == ""
    assert ran.stderr == "failpoint relay.taken: crash at hit 1\n"


def test_a_stop_lasts_until_it_is_ended() -> None:
    """A process that stopped at a point goes on from there when it is told to."""
    code = """if True:
        import asyncio
        from services.common import failpoints
        failpoints._armed[:] = [failpoints.Arm.read("relay.taken=stop@1")]
        asyncio.run(failpoints.reach("relay.taken"))
        print("went on")
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0] == b"went on\n"
