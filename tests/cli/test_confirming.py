"""The question before what cannot be undone."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = "01a226e2-55a6-7fd0-9ba0-2582e903e3e2"


def _sleeps(pid: int) -> bool:
    """Whether a process waits for something."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\x04", 130), (None, 130)])
def test_a_question_can_be_left(answer: str | None, code: int, tmp_path: Path) -> None:
    """No, the end of the input and Ctrl-C each end it at once, before any service is asked."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "services", "erase", "source", SOURCE, "--data-dir"]
    process = subprocess.Popen(
        [*command, str(tmp_path)], stdin=end, stdout=end, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        assert process.stderr.read(len("Erase all")) == "Erase all"
        if answer is None:
            # A signal that comes before the terminal is waited for is seen only after the answer.
            while not _sleeps(process.pid):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, answer.encode())
        assert process.wait(timeout=60) == code
    finally:
        process.kill()
        os.close(terminal)
        os.close(end)
