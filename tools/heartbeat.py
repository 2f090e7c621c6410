"""Run a long command with its output in a log: a line every so often, the log's end if it fails.

Usage: heartbeat.py LABEL LOG COMMAND...
"""

import re
import subprocess
import sys
import time
from pathlib import Path

PERIOD_SECONDS = 15.0
TAIL_LINES = 40
NINJA_STEP = re.compile(rb"\[(\d+)/(\d+)\] ")


def progress(log: Path) -> str:
    """Return how far the compiler has come, as the build tool last wrote it, or nothing."""
    steps = NINJA_STEP.findall(log.read_bytes())
    return f", compiled {int(steps[-1][0])} of {int(steps[-1][1])} files" if steps else ""


def tail(log: Path) -> str:
    """Return the last lines of the log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])


def follow(child: subprocess.Popen[bytes], label: str, log: Path, period_seconds: float) -> int:
    """Return the exit code of the command; until then say that it still runs."""
    began = time.monotonic()
    while True:
        try:
            return child.wait(timeout=period_seconds)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - began
            print(f"    {label}: {elapsed:.0f} s{progress(log)}", flush=True)


def run(label: str, log: Path, command: list[str], period_seconds: float = PERIOD_SECONDS) -> int:
    """Run the command and return its exit code, 130 when interrupted."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            code = follow(child, label, log, period_seconds)
        except KeyboardInterrupt:
            child.wait()
            return 130
    if code:
        print(tail(log), file=sys.stderr)
        print(f"{label}: failed with exit code {code}; the whole log is {log}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
