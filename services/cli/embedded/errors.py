"""What can go wrong with the embedded servers; every message is for the user's eyes."""

from pathlib import Path

from services.common.errors import WinnowError


class EmbeddedError(WinnowError):
    """The embedded servers cannot start or keep running."""


class DataDirectoryUnusable(EmbeddedError):
    """The data directory cannot be created, written or reached, is full, or is of another version."""


class DataDirectoryBusy(EmbeddedError):
    """Another process runs on the data directory."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"data directory {path} is in use by {holder}: stop it or pass --data-dir")
        self.path = path
        self.pid = pid


class PortUnavailable(EmbeddedError):
    """A port that was asked for cannot be used."""

    def __init__(self, name: str, port: int, reason: str) -> None:
        super().__init__(f"port {port} for {name}: {reason}; --port {name}=PORT sets another")
        self.name = name
        self.port = port


class BinaryUnusable(EmbeddedError):
    """A server's program is missing, or the account that must run it cannot."""


class ChildFailed(EmbeddedError):
    """A child was given up; the second and later lines are the end of its log.

    `exit_code` is what the command ends with: the child's own, where that says what is wrong, as of a setting.
    """

    def __init__(
        self, name: str, reason: str, log: Path, tail: list[str], exit_code: int = 1
    ) -> None:
        shown = "".join(f"\n  {line}" for line in tail)
        end = f"the end of {log}:{shown}" if tail else f"{log} is empty"
        super().__init__(f"{name} {reason}; {end}")
        self.name = name
        self.reason = reason
        self.tail = tail
        self.exit_code = exit_code
