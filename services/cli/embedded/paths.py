"""The data directory: where everything lives, who may use it, and what is remembered there."""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import platformdirs
from pydantic import BaseModel, ConfigDict

from services.cli.embedded.errors import DataDirectoryBusy, DataDirectoryUnusable
from services.cli.embedded.files import identity, make_open, read_model, read_word, write_private
from services.cli.embedded.ports import Ports
from services.cli.embedded.process import (
    Account,
    ProcessIdentity,
    pid_in,
    run,
    server_account,
)
from services.cli.embedded.space import lack
from services.common.seeds import is_seed, new_seed

_SYSTEM_DIRECTORY = Path("/var/lib/winnow")


class RuntimeState(BaseModel):
    """What a client on this machine needs to find the servers (runtime.json)."""

    model_config = ConfigDict(frozen=True)

    pid: int
    began: str
    started_at: str
    ports: Ports
    directory: str = ""  # which one it is of (files.identity); empty from before that was told
    metrics_address: str = ""  # the first service's; the others count upwards
    release: str = ""  # what runs, as migrations.release() has it; empty from before that was told

    def is_alive(self) -> bool:
        """Return whether the supervisor that wrote this still runs."""
        return ProcessIdentity(self.pid, self.began).is_alive()


@dataclass(frozen=True)
class DataDirectory:
    """A directory that holds one Winnow: servers' files, secrets, logs and chosen ports."""

    path: Path
    free_bytes_min: int = 300 << 20

    @classmethod
    def default(cls) -> Self:
        """Return the user's data directory; for root, one that the servers' account should reach."""
        path = platformdirs.user_data_path("winnow")
        return cls(path if server_account() is None or _open_to_all(path) else _SYSTEM_DIRECTORY)

    def resolved(self) -> Self:
        """Return the directory under its real and absolute name, by which the system shows it.

        Raises DataDirectoryUnusable for a name that leads nowhere, or that the servers' settings cannot hold.
        """
        try:
            path = self.path.expanduser().resolve()
            str(path).encode()
        except (RuntimeError, UnicodeEncodeError) as error:
            # a home that nobody has, or links in a circle
            why = str(error) if isinstance(error, RuntimeError) else "is not text in UTF-8"
            raise DataDirectoryUnusable(
                f"data directory {self.path}: {why}: pass another with --data-dir"
            ) from None
        return replace(self, path=path)

    @property
    def lock(self) -> Path:
        """Return the file whose lock says that a supervisor runs."""
        return self.path / "lock"

    @property
    def secrets(self) -> Path:
        """Return the directory of the passwords."""
        return self.path / "secrets"

    @property
    def postgres(self) -> Path:
        """Return PostgreSQL's data directory."""
        return self.path / "postgres"

    @property
    def nats(self) -> Path:
        """Return the directory of the broker's configuration and streams."""
        return self.path / "nats"

    @property
    def logs(self) -> Path:
        """Return the directory of the logs."""
        return self.path / "logs"

    @property
    def records(self) -> Path:
        """Return the directory that names the children that run."""
        return self.path / "run"

    @property
    def programs(self) -> Path:
        """Return the directory for copies of programs that the servers' account cannot run in place."""
        return self.path / "programs"

    @property
    def needs(self) -> dict[Path, int]:
        """Return what may be on disks of its own, with the bytes that must be free there for the servers to go on."""
        # PostgreSQL makes its log in pieces of 16 MiB, and needs some more to end a recovery.
        server = dict.fromkeys((self.postgres, self.postgres / "pg_wal"), 64 << 20)
        return {**server, self.nats: 16 << 20, self.path: 16 << 20}

    def lack(self) -> str:
        """Return what lacks room for the servers to go on; empty if nothing does."""
        return lack(self.needs)

    async def prepare(self, account: Account | None) -> None:
        """Create what is missing; raise DataDirectoryUnusable unless it can be used."""
        try:
            # The servers' account passes through; everything inside has its own, narrower mode.
            make_open(self.path, 0o711 if account else 0o700)
            for folder in (self.secrets, self.logs, self.records):
                folder.mkdir(exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise DataDirectoryUnusable(
                f"data directory {self.path} cannot be written ({error.strerror}): "
                "pass another with --data-dir"
            ) from error
        self._check_space()
        if account and not await _can_enter(account, self.path):
            raise DataDirectoryUnusable(
                f"data directory {self.path} is closed to uid {account.uid}, as whom root runs "
                f"the servers: pass another with --data-dir, such as {_SYSTEM_DIRECTORY}"
            )

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < self.free_bytes_min:
            raise DataDirectoryUnusable(
                f"data directory {self.path} has {free >> 20} MiB free, "
                f"{self.free_bytes_min >> 20} MiB are needed: free some or pass another with --data-dir"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process alone; raise DataDirectoryBusy that names the holder."""
        with self.lock.open("a+", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise DataDirectoryBusy(self.path, pid_in(file.read())) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
            file.truncate(0)

    def secret(self, name: str) -> str:
        """Return the password called `name`, made at the first call or when it is lost, and kept."""
        path = self.secrets / name
        if not read_word(path):
            write_private(path, secrets.token_urlsafe(24) + "\n")
        return read_word(path)

    def owner_password(self) -> str:
        """Return the password that PostgreSQL was made with; raise DataDirectoryUnusable when it is lost."""
        path = self.secrets / "postgres.password"
        if self.postgres.exists() and not read_word(path):
            raise DataDirectoryUnusable(
                f"{path} holds no password, without which the data cannot be reached: restore it"
            )
        return self.secret(path.name)

    def nats_seed_file(self, service: str) -> Path:
        """Return the file with the seed of a service's key to NATS."""
        return self.secrets / f"nats.{service}.nkey"

    def nats_seed(self, service: str) -> str:
        """Return the seed of a service's key to NATS, made at the first call or when it is lost, and kept."""
        path = self.nats_seed_file(service)
        if not is_seed(read_word(path)):
            write_private(path, new_seed() + "\n")
        return read_word(path)

    def ports(self) -> Ports | None:
        """Return the ports of the last start; None before the first."""
        return read_model(
            self.path / "ports.json", Ports, "delete it, and `winnow up` chooses ports anew"
        )

    def remember_ports(self, ports: Ports) -> None:
        """Keep the ports for the next start."""
        write_private(self.path / "ports.json", ports.model_dump_json(indent=2) + "\n")

    def runtime_state(self) -> RuntimeState | None:
        """Return where the servers are; None when none run, though they may on what this is a copy of."""
        state = read_model(
            self.path / "runtime.json",
            RuntimeState,
            "start `winnow up` again, which writes it anew",
        )
        if state is None or state.directory not in ("", identity(self.path)):
            return None
        return state if state.is_alive() else None

    def announce(self, state: RuntimeState) -> None:
        """Tell clients where the servers are."""
        write_private(self.path / "runtime.json", state.model_dump_json(indent=2) + "\n")

    def withdraw(self) -> None:
        """Tell clients that no servers run."""
        (self.path / "runtime.json").unlink(missing_ok=True)


async def _can_enter(account: Account, path: Path) -> bool:
    """Return whether the account can pass through a directory, by trying it."""
    status, _ = await run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(path)], account)
    return status == 0


def _open_to_all(path: Path) -> bool:
    """Return whether everybody may pass through a directory's existing ancestors."""
    existing = [folder for folder in (path, *path.parents) if folder.is_dir()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in existing)
