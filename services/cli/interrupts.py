"""Ctrl-C where no command is at work that could tidy up: while Winnow is being loaded, and when all is done.

An exception would go through whatever is being imported then, and some of that swallows it or shows a traceback.
"""

# What `signal` is made of, and there from the start: to load that, with its enums, takes as long as all before it.
import _signal  # type: ignore[import-not-found]
import os


def end_at_once() -> None:
    """Have Ctrl-C end the process there and then, unless whoever started it has it ignored."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)


def leave_to_the_command() -> None:
    """Have it raise KeyboardInterrupt again, as it does at first."""
    if _signal.getsignal(_signal.SIGINT) is _end:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _end(number: int, frame: object) -> None:
    try:
        os.write(2, b"winnow: interrupted\n")
    finally:
        os._exit(128 + number)
