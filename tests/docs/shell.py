"""A shell in which the lines of a page are typed one after the other, as a person would."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "the line has ended with"


class Shell:
    """bash, reading what is typed; variables and the folder last from line to line."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._errors = folder / f"errors-{time.monotonic_ns()}"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                ["bash", "-u"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def run(self, line: str) -> str:
        """Type a line, wait until it has ended, and return what it printed; it must end well."""
        self.begin(line)
        code, printed = self._ended()
        assert code == 0, (line, printed, self.errors)
        return printed

    def begin(self, line: str) -> None:
        """Type a line and do not wait."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\nprintf '\\n{MARK} %s\\n' $?\n")
        self._process.stdin.flush()

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the program that runs in the shell, and return how it ended."""
        (program,) = (
            Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        )
        os.kill(int(program), number)
        return self._ended()[0]

    @property
    def errors(self) -> str:
        """What all lines so far have said on standard error."""
        return self._errors.read_text("utf-8", "replace")

    def _ended(self) -> tuple[int, str]:
        assert self._process.stdout
        printed = ""
        for line in self._process.stdout:
            if line.startswith(MARK):
                return int(line.split()[-1]), printed.removesuffix("\n")
            printed += line
        raise AssertionError((printed, self.errors))

    def close(self) -> None:
        """Leave the shell."""
        self._process.communicate("exit\n", timeout=30)


@contextmanager
def shell(folder: Path, **more: str) -> Iterator[Shell]:
    """A shell that finds `winnow`, and knows none of the settings of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WINNOW_") or name == "WINNOW_MODELS_DIR"
    }
    path = f"{more.pop('PATH', Path(sys.executable).parent)}:{os.environ['PATH']}"
    opened = Shell(folder, {**kept, "PATH": path, **more})
    try:
        yield opened
    finally:
        opened.close()
