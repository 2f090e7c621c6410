"""Standard output and error as they were left to a command: closed, or of an encoding without most letters."""

import os
import sys
from typing import TextIO


def make_printable() -> None:
    """Have both take whatever is printed: a closed one loses it, and a letter that one lacks is printed as `?`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif not has_every_letter(stream):
            stream.reconfigure(errors="replace")


def has_every_letter(stream: TextIO) -> bool:
    """Whether a stream is of Unicode."""
    return (stream.encoding or "").lower().replace("_", "-").startswith("utf")
