"""Processes: whom they run as, how they are told apart after a pid is reused, and how they are started and ended."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_PROC = Path("/proc")
_LAUNCHER = Path(__file__).with_name("launcher.py")
_NOBODY_ID = 65534
# By their bits: to give files away, to read and write them then, to signal, and to become another user.
_RIGHTS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_POLL_SECONDS = 0.01
_PID_DIGITS_MAX = 10


@dataclass(frozen=True)
class Account:
    """The user and group that a server runs as."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the unprivileged account for servers when we are root, else None: they run as we do."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY_ID, _NOBODY_ID)
    return Account(nobody.pw_uid, nobody.pw_gid)


def lacking_rights() -> list[str]:
    """Return what root needs to run servers as another user, and was not given, as in some containers."""
    status = _PROC / "self/status"
    if os.geteuid() != 0 or not status.is_file():
        return []
    (held,) = [line for line in status.read_text().splitlines() if line.startswith("CapEff:")]
    given = int(held.split()[1], 16)
    return [name for name, bit in _RIGHTS.items() if not given >> bit & 1]


def minimal_environment() -> dict[str, str]:
    """Return an environment that makes servers behave alike everywhere."""
    # The launcher's interpreter may not find its own library without this.
    libraries = {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
    fixed = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent"}
    return libraries | fixed


@dataclass(frozen=True)
class ProcessIdentity:
    """A process id and the moment it began: together they never name two processes."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the identity of a live process; None when it is gone or a zombie."""
        began = _began_linux(pid) if _PROC.is_dir() else _began_elsewhere(pid)
        return cls(pid, began) if began else None

    @classmethod
    def own(cls) -> Self:
        """Return the identity of this process."""
        identity = cls.of(os.getpid())
        if identity is None:
            raise RuntimeError("this process cannot see itself: is /proc mounted?")
        return identity

    def is_alive(self) -> bool:
        """Return whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self


@dataclass(frozen=True)
class RunningProcess:
    """A live process as the system shows it; the directory is None where it cannot be read."""

    identity: ProcessIdentity
    arguments: tuple[str, ...]
    directory: Path | None


def pid_in(text: str) -> int | None:
    """The process id that a file says; None if what it says is none, as after a power cut."""
    word = text.strip()
    return int(word) if word.isdecimal() and len(word) <= _PID_DIGITS_MAX else None


def running(program: str) -> Iterator[RunningProcess]:
    """Yield the processes whose program has this file name."""
    return _running_linux(program) if _PROC.is_dir() else _running_elsewhere(program)


async def end(
    processes: Iterable[ProcessIdentity], number: signal.Signals, timeout_seconds: float
) -> list[ProcessIdentity]:
    """Signal the processes and wait for them to go; return those that did not."""
    left = [process for process in processes if _signal(process, number)]
    deadline = time.monotonic() + timeout_seconds

    async def gone() -> bool:
        left[:] = [process for process in left if process.is_alive()]
        return not left or time.monotonic() >= deadline

    await until(gone)
    return left


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again: what another process does sends no event."""
    while True:
        if await condition():
            return
        await asyncio.sleep(_POLL_SECONDS)


async def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    account: Account | None,
    death_signal: signal.Signals,
    output: IO[bytes] | int,
    directory: Path | None = Path("/"),
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, in `directory` or else where we run.

    Where the system can, it gets `death_signal` when our thread ends.
    """
    return await asyncio.create_subprocess_exec(
        # Isolated and without site: the launcher costs milliseconds and runs nothing of the environment's.
        *(sys.executable, "-I", "-S", str(_LAUNCHER)),
        *(str(os.getpid()), str(int(death_signal)), _account_argument(account)),
        *command,
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output if isinstance(output, int) else subprocess.STDOUT,
        start_new_session=True,
    )


async def run(
    command: Sequence[str],
    account: Account | None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a short program to its end, with little of our environment if none is given.

    Returns its exit status and what it said.
    """
    process = await spawn(
        command,
        environment if environment is not None else minimal_environment(),
        account=account,
        death_signal=signal.SIGKILL,
        output=subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return await process.wait(), (errors or output).decode(errors="replace").strip()


def _account_argument(account: Account | None) -> str:
    return f"{account.uid}:{account.gid}" if account else "-"


def _signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    if not process.is_alive():
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _began_linux(pid: int) -> str | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot} {started_ticks}"


def _running_linux(program: str) -> Iterator[RunningProcess]:
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if (folder / "comm").read_text(errors="replace").strip() != program:
                continue
            identity = ProcessIdentity.of(int(folder.name))
            arguments = os.fsdecode((folder / "cmdline").read_bytes()).split("\0")
            directory = (folder / "cwd").readlink()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone meanwhile, or somebody else's
        if identity:
            yield RunningProcess(identity, tuple(arguments), directory)


def _began_elsewhere(pid: int) -> str | None:
    shown = _ps("-o", "state=,lstart=", "-p", str(pid)).strip()
    return None if not shown or shown.startswith("Z") else shown.partition(" ")[2]


def _running_elsewhere(program: str) -> Iterator[RunningProcess]:
    for line in _ps("-axww", "-o", "pid=,command=").splitlines():
        pid, _, command = line.strip().partition(" ")
        arguments = tuple(command.split())
        if arguments and Path(arguments[0]).name == program:
            identity = ProcessIdentity.of(int(pid))
            if identity:
                yield RunningProcess(identity, arguments, None)


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
