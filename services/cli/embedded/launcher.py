"""Becomes another program that dies with its parent; run as a script, so it imports nothing of ours.

Arguments: the parent's process id, the signal to die by, then `-` or `uid:gid`, then the program and its arguments.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, death_signal: str, account: str, *command: str) -> None:
    """Drop privileges, ask the kernel for the death signal, and exec; exit 127 with one line on failure."""
    try:
        os.umask(0o077)
        if account != "-":
            _become(*map(int, account.split(":")))
        _die_with(int(parent), int(death_signal))
        # The interpreter ignores these, and an ignored signal stays ignored across exec.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606 - to become the program is the point
    except OSError as error:
        sys.exit(_refuse(command[0], error))


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _die_with(parent: int, death_signal: int) -> None:
    """Linux only; set after setuid, which clears it, and then look whether the parent is already gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _refuse(program: str, error: OSError) -> int:
    sys.stderr.write(f"cannot run {program}: {error.strerror}\n")
    return 127


if __name__ == "__main__":
    main(*sys.argv[1:])
