"""The `winnow` command for tests that call it dozens of times: a fork of a process that has imported it already.

To import takes most of the time of a short command. Each is still a process of its own, with its arguments, its
environment and its exit code; what an interpreter reads when it starts, such as PYTHONIOENCODING, needs `run_winnow`.
"""

import functools
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import Any

from services.__main__ import main
from services.cli.app import PARTS


def winnow(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it printed."""
    variables = dict(environment or os.environ)
    asked = {"arguments": arguments, "environment": variables, "folder": os.getcwd()}
    ours, theirs = socket.socketpair()
    with TemporaryFile() as out, TemporaryFile() as err, ours:
        with theirs:
            handed = [out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(_started(), [b"."], handed)
        ours.sendall(json.dumps(asked).encode() + b"\n")
        (code,) = ours.makefile().readlines()
        printed = [os.pread(each.fileno(), 1 << 30, 0).decode() for each in (out, err)]
    return subprocess.CompletedProcess(arguments, int(code), *printed)


@functools.cache
def _started() -> socket.socket:
    """Start the process that forks; it ends when nobody holds this socket any more."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
        )
    return ours


def _serve(asking: socket.socket) -> None:
    """Fork for each command that is asked for, and go on; return where one is to be performed."""
    waiting: list[int] = []
    while True:
        _, handed, *_ = socket.recv_fds(asking, 1, 3)
        if not handed:
            os._exit(0)
        waiting = [pid for pid in waiting if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        with socket.socket(fileno=handed.pop()) as answer:
            asked = json.loads(answer.makefile().readline())
            if part := PARTS.get(next(iter(asked["arguments"]), "")):
                importlib.import_module(part.where.partition(":")[0])
            gc.freeze()  # so that a collection in the fork does not copy all that was imported
            waiting.append(os.fork())
            if not waiting[-1]:
                _fork_and_wait(answer)
                return _become(asked, handed)
        for each in handed:
            os.close(each)


def _fork_and_wait(answer: socket.socket) -> None:
    """Return in a process of the command's own; the other one says how that ended, and ends."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        answer.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)


def _become(asked: dict[str, Any], printed: list[int]) -> None:
    """Take on the files to print to, the folder, the arguments and the environment."""
    for number, each in enumerate(printed, 1):
        os.dup2(each, number)
    os.chdir(asked["folder"])
    sys.argv = ["winnow", *asked["arguments"]]
    os.environ.clear()
    os.environ.update({"GRPC_VERBOSITY": "ERROR", **asked["environment"]})


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
