"""Standard output and error as they were left to a command: closed, or of an encoding without most letters."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

# What a shell says of a program that the system ends for writing where nobody reads any more.
UNREAD = 141
_STANDARD_MAX = 2  # the number of standard error, the last of the three


def open_standard() -> None:
    """Open what of the three was left closed to nothing, before a file or a connection takes its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_MAX:
        os.set_inheritable(number, True)
    os.close(number)


def make_printable() -> None:
    """Have both take whatever is printed: a closed one loses it, and a letter that one lacks is printed as `?`."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif not has_every_letter(stream):
            stream.reconfigure(errors="replace")


def has_every_letter(stream: TextIO) -> bool:
    """Whether a stream is of Unicode."""
    return (stream.encoding or "").lower().replace("_", "-").startswith("utf")


@contextmanager
def ended_unread() -> Iterator[None]:
    """End the command without a word when whoever read its output has gone, as `head` does once it has its lines."""
    try:
        yield
    except BrokenPipeError:
        leave_unread()


def leave_unread() -> NoReturn:
    """End the command so; what is left to be written goes nowhere."""
    drop_unwritten()
    sys.exit(UNREAD)


def drop_unwritten() -> None:
    """Let what cannot be written go nowhere, and all that follows: Python would try again when it ends, and fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
