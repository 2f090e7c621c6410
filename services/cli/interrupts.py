"""Ctrl-C where no command is at work that could tidy up: while Winnow is being loaded, and when all is done.

An exception would go through whatever is being imported then, and some of that swallows it or shows a traceback.
"""

import os
import signal
from types import FrameType


def end_at_once() -> None:
    """Have Ctrl-C end the process there and then, unless whoever started it has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def leave_to_the_command() -> None:
    """Have it raise KeyboardInterrupt again, as it does at first."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"winnow: interrupted\n")
    finally:
        os._exit(128 + number)
