"""One process of a service, which is killed, stopped, made to die at points, and started again by whoever watches."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.proxies import Proxy


@dataclass
class Replica:
    """A service under a name of its own, such as extractor-b, with the edges that it speaks over."""

    name: str
    environment: Mapping[str, str]
    log: Path
    edges: dict[str, Proxy] = field(default_factory=dict)
    starts: int = 0
    deaths: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def service(self) -> str:
        """The name of the service."""
        return self.name.partition("-")[0]

    def start(self, failpoints: str = "", **settings: str) -> None:
        """Start it, with failpoints armed if some are given."""
        entry = (
            ["tests.faults.process"]
            if self.service == "embedder"
            else ["services", "run", self.service]
        )
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.launch", *entry],
                env={**self.environment, "WINNOW_FAILPOINTS": failpoints, **settings},
                stdout=log,
                stderr=log,
            )

    @property
    def has_ended(self) -> bool:
        """Whether it is to be started again."""
        return self._process is not None and self._process.poll() is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still as a whole."""
        if self._process is None or self.has_ended:
            return False
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL, seconds: float = 30) -> None:
        """End it and wait."""
        self.send(signal.SIGCONT)
        self.send(number)
        if self._process is not None:
            self._process.wait(seconds)

    def memory_bytes(self) -> int:
        """How much memory it holds; 0 if it has ended."""
        if self._process is None or self._process.poll() is not None:
            return 0
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0
