"""The supervisor, with small programs as children."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.embedded.errors import ChildFailed, EmbeddedError
from services.cli.embedded.logs import tail
from services.cli.embedded.process import until
from services.cli.embedded.supervisor import Child, RestartPolicy, State, Supervisor
from tests.cli.embedded.conftest import Events

FAST = RestartPolicy(delay_seconds=0.01)
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def child(name: str, *command: str, **options: object) -> Child:
    """A child with the environment of the test."""
    return Child(name=name, command=lambda: command, environment=os.environ, **options)  # type: ignore[arg-type]


def sleeper(name: str) -> Child:
    """A child that does nothing until it is stopped."""
    return child(name, "/bin/sleep", "60")


@pytest.fixture
def supervisor(tmp_path: Path, events: Events) -> Supervisor:
    """A supervisor without children that restarts fast."""
    return Supervisor(tmp_path, tmp_path, events, policy=FAST)


async def test_reverse_order(supervisor: Supervisor, events: Events) -> None:
    """Children stop in the reverse order of their start."""
    for name in ("first", "second", "third"):
        await supervisor.start(sleeper(name))
    await supervisor.stop()
    stopped = [event.child for event in events.seen if event.state is State.STOPPED]
    assert stopped == ["third", "second", "first"]


async def test_start_waits_for_readiness(
    supervisor: Supervisor, tmp_path: Path, events: Events
) -> None:
    """A start returns only when the child says that it is ready."""
    log = tmp_path / "slow.log"

    async def said(pid: int) -> None:
        await until(lambda: says_something(log))

    waiting = child("slow", "/bin/sh", "-c", "sleep 0.1; echo here; exec sleep 60", ready=said)
    await supervisor.start(waiting)
    assert tail(log) == ["here"]
    assert not [event for event in events.seen if event.state is State.WAITING]


async def test_a_slow_start_is_told_of(tmp_path: Path, events: Events) -> None:
    """Whoever waits must hear that a child is still starting, until it is ready."""

    async def waited_for(pid: int) -> None:
        async def told_twice() -> bool:
            return sum(event.state is State.WAITING for event in events.seen) >= 2

        await until(told_twice)

    supervisor = Supervisor(tmp_path, tmp_path, events, policy=FAST, told_every_seconds=0.01)
    await supervisor.start(child("slow", "/bin/sleep", "60", ready=waited_for))
    states = [event.state for event in events.seen]
    assert states[:3] == [State.STARTING, State.WAITING, State.WAITING]
    assert states[-1] is State.READY
    await supervisor.stop()
    await supervisor.stop()


async def test_restart(supervisor: Supervisor, events: Events, tmp_path: Path) -> None:
    """A child that dies is started again."""
    await supervisor.start(sleeper("one"))
    os.kill(int((tmp_path / "one.pid").read_text().split()[0]), signal.SIGKILL)
    await events.happened("one", State.READY, 2)
    assert "killed by SIGKILL" in " ".join(map(str, events.seen))
    await supervisor.stop()
    assert not (tmp_path / "one.pid").exists()


async def test_wrong_processor(supervisor: Supervisor, events: Events, tmp_path: Path) -> None:
    """A child that meets an instruction its processor lacks is reported with what to do about it."""
    await supervisor.start(sleeper("one"))
    os.kill(int((tmp_path / "one.pid").read_text().split()[0]), signal.SIGILL)
    await events.happened("one", State.READY, 2)
    assert "killed by SIGILL: something was compiled for another processor" in " ".join(
        map(str, events.seen)
    )
    await supervisor.stop()


async def test_given_up(supervisor: Supervisor, events: Events) -> None:
    """A child that keeps dying is given up with its name, its status and the end of its log."""
    await supervisor.start(sleeper("calm"))
    with pytest.raises(ChildFailed, match=r"bad died 5 times .*\(exit status 3\)[^\n]*\n  no luck"):
        await supervisor.start(child("bad", "/bin/sh", "-c", "echo no luck; exit 3", ready=_never))
    await supervisor.stop()
    assert events.count("bad", State.DIED) == FAST.deaths_max - 1
    assert events.count("calm", State.STOPPED) == 1


async def test_one_that_never_serves_is_given_up_however_slowly_it_dies(
    tmp_path: Path, events: Events
) -> None:
    """Deaths far apart count until a child has been ready once; afterwards those of a short time alone do."""
    policy = replace(FAST, window_seconds=0)
    supervisor = Supervisor(tmp_path, tmp_path, events, policy=policy)
    bad = child("bad", "/bin/sh", "-c", "echo no luck; exit 3", ready=_never)
    with pytest.raises(ChildFailed, match=r"bad died 5 times"):
        await asyncio.wait_for(supervisor.start(bad), 60)
    await supervisor.stop()
    supervisor = Supervisor(tmp_path, tmp_path, events, policy=policy)
    await supervisor.start(child("fickle", "/bin/sleep", "0.01"))
    await events.happened("fickle", State.DIED, FAST.deaths_max + 2)
    await supervisor.stop()


async def test_a_start_that_must_fail_is_not_repeated(
    supervisor: Supervisor, events: Events
) -> None:
    """A child that says that it is set wrongly is given up at once, and the user reads why."""
    wrong = child("wrong", "/bin/sh", "-c", "echo no such setting; exit 2", ready=_never)
    with pytest.raises(ChildFailed, match=r"wrong cannot run \(exit status 2\)[^\n]*\n  no such"):
        await supervisor.start(replace(wrong, final_statuses=frozenset({2})))
    await supervisor.stop()
    assert events.count("wrong", State.STARTING) == 1


async def test_a_status_is_final_only_before_the_first_success(
    supervisor: Supervisor, events: Events, tmp_path: Path
) -> None:
    """A child that has served before is started again whatever it ends with: what it met may pass."""
    script = f"[ -e {tmp_path}/mark ] && exec sleep 60; touch {tmp_path}/mark; exit 2"
    once = child("once", "/bin/sh", "-c", script)
    await supervisor.start(replace(once, final_statuses=frozenset({2})))
    await events.happened("once", State.READY, 2)
    await supervisor.stop()


async def test_watch(supervisor: Supervisor) -> None:
    """A child that is given up later ends the watch."""
    await supervisor.start(child("brief", "/bin/sh", "-c", "exit 4"))
    with pytest.raises(ChildFailed, match="brief died"):
        await supervisor.watch()
    await supervisor.stop()


async def test_never_ready(supervisor: Supervisor) -> None:
    """A child that is not ready in time is given up and ended."""
    late = child("late", "/bin/sleep", "60", ready=_never, ready_timeout_seconds=0.05)
    with pytest.raises(ChildFailed, match="late was not ready within"):
        await supervisor.start(late)
    await supervisor.stop()


async def test_check_fails_with_the_child(supervisor: Supervisor) -> None:
    """A readiness check that fails because the child dies counts as the death that it is."""

    async def torn(pid: int) -> None:
        raise ConnectionResetError

    with pytest.raises(ChildFailed, match="frail died 5 times"):
        await supervisor.start(child("frail", "/bin/sh", "-c", "exit 1", ready=torn))
    await supervisor.stop()


async def test_check_fails(supervisor: Supervisor, events: Events) -> None:
    """A readiness check that fails for a child that lives ends the child, with the error."""

    async def wrong(pid: int) -> None:
        raise EmbeddedError("settings: wrong")

    with pytest.raises(EmbeddedError, match="settings: wrong"):
        await supervisor.start(child("sound", "/bin/sleep", "60", ready=wrong))
    await supervisor.stop()
    assert events.count("sound", State.STOPPED) == 1


async def test_stubborn(supervisor: Supervisor, tmp_path: Path) -> None:
    """A child that ignores its stop signal is killed, and so is what it started."""
    log = tmp_path / "deaf.log"

    async def deaf(pid: int) -> None:
        await until(lambda: says_something(log))

    await supervisor.start(
        child("deaf", sys.executable, "-c", STUBBORN, ready=deaf, stop_timeout_seconds=0.05)
    )
    pid = int((tmp_path / "deaf.pid").read_text().split()[0])
    await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_missing_program(supervisor: Supervisor) -> None:
    """A program that does not exist is named in the error."""
    with pytest.raises(ChildFailed, match="cannot run /nowhere/at/all: No such file"):
        await supervisor.start(child("ghost", "/nowhere/at/all", ready=_never))
    await supervisor.stop()


async def test_logs_rotate(supervisor: Supervisor, tmp_path: Path) -> None:
    """Each start of the whole has a fresh log and keeps the last ones."""
    for number in range(6):
        talker = child("talker", "/bin/sh", "-c", f"echo {number}; exec sleep 60")

        await supervisor.start(talker)
        await until(lambda: says_something(tmp_path / "talker.log"))
        await supervisor.stop()
    kept = {name: tail(tmp_path / name) for name in os.listdir(tmp_path) if "log" in name}
    assert kept == {
        "talker.log": ["5"],
        "talker.log.1": ["4"],
        "talker.log.2": ["3"],
        "talker.log.3": ["2"],
    }


def test_delays_double() -> None:
    """The wait before a restart doubles with each recent death, up to a limit."""
    assert [RestartPolicy().delay(deaths) for deaths in (1, 2, 3, 50)] == [0.1, 0.2, 0.4, 10]


async def says_something(log: Path) -> bool:
    """Whether a log has a line."""
    return bool(tail(log))


async def _never(pid: int) -> None:
    await asyncio.Event().wait()


async def test_a_child_that_lacks_room_is_not_given_up(
    supervisor: Supervisor, events: Events, tmp_path: Path
) -> None:
    """However often a child dies for a full disk, it is started again once there is room, and the user reads why."""
    lacks, marker = "/data has 3 MiB free, 64 MiB are needed", tmp_path / "full"
    supervisor = replace(supervisor, lacking=lambda: lacks if marker.exists() else "")
    script = f"[ -e {marker} ] && exit 1; exec sleep 60"
    await supervisor.start(child("one", "/bin/sh", "-c", script))
    marker.touch()
    for times in range(1, FAST.deaths_max + 2):
        os.kill(_pid(tmp_path), signal.SIGKILL)
        await events.happened("one", State.DIED, times)
        starting = events.count("one", State.STARTING)
        assert events.count("one", State.READY) == starting == times
        marker.unlink()
        await events.happened("one", State.READY, times + 1)
        marker.touch()
    died = [event for event in events.seen if event.state is State.DIED]
    assert {event.detail for event in died} == {
        f"(killed by SIGKILL): {lacks}; starting again once it has"
    }
    await supervisor.stop()


async def test_what_cannot_be_written_down_does_not_end_everything(
    supervisor: Supervisor, events: Events, tmp_path: Path
) -> None:
    """A start that the system refuses later, as on a full disk, is a death like others: tried again."""
    await supervisor.start(sleeper("one"))
    first = _pid(tmp_path)
    (tmp_path / "one.pid").unlink()
    (tmp_path / "one.pid").mkdir()
    os.kill(first, signal.SIGKILL)
    await events.happened("one", State.DIED, 2)
    assert "cannot be started: Is a directory" in events.seen[-1].detail
    (tmp_path / "one.pid").rmdir()
    await events.happened("one", State.READY, 2)
    await supervisor.stop()


async def test_a_child_is_renewed(supervisor: Supervisor, events: Events, tmp_path: Path) -> None:
    """A child that is told to begin anew does, as often as it is told, and for none of its deaths."""
    await supervisor.start(sleeper("one"))
    for times in range(1, FAST.deaths_max + 2):
        before = _pid(tmp_path)
        await supervisor.renew("one", "to be sure")
        await events.happened("one", State.READY, times + 1)
        assert _pid(tmp_path) != before
    assert events.count("one", State.DIED) == 0
    await supervisor.stop()


async def test_a_child_that_has_just_died_is_not_renewed(
    supervisor: Supervisor, events: Events, tmp_path: Path
) -> None:
    """A death that nobody has dealt with yet is a death, and no error of who wants the child to begin anew."""
    await supervisor.start(sleeper("one"))
    process = supervisor._living["one"][1]
    os.kill(process.pid, signal.SIGKILL)
    while process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await supervisor.renew("one", "to be sure")
    await events.happened("one", State.READY, 2)
    assert (events.count("one", State.DIED), events.count("one", State.RENEWED)) == (1, 0)
    await supervisor.stop()


def _pid(folder: Path) -> int:
    """The process of the child `one`."""
    return int((folder / "one.pid").read_text().split()[0])
