"""Where the services are and with which key they are called: from the environment, or from a running `winnow up`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.cli.embedded.paths import DataDirectory
from services.cli.failures import UNREACHABLE, Failure
from services.common.addresses import NAMES, AddressSettings
from services.common.channels import dial

KEY_VARIABLE = "WINNOW_API_KEY"
KEY_SECRET = "api-key"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class Target:
    """A deployment as a client sees it."""

    addresses: dict[str, str]
    api_key: str
    restarted: frozenset[str] = frozenset()  # the services that a running `winnow up` starts again

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that every call needs."""
        return (("authorization", f"Bearer {self.api_key}"),)

    @asynccontextmanager
    async def channel(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        """Open a channel to a service."""
        async with dial(self.addresses[name]) as channel:
            yield channel


def find(data: DataDirectory) -> Target:
    """Return the deployment that the environment names, else the one that runs on the data directory."""
    settings = AddressSettings.read()
    state = data.runtime_state()
    addresses = {name: settings.of(name) for name in NAMES}
    restarted: frozenset[str] = frozenset()
    if state is not None:
        ports = state.ports.model_dump()
        restarted = frozenset(
            name for name in NAMES if f"WINNOW_{name.upper()}_ADDRESS" not in os.environ
        )
        addresses |= {name: f"127.0.0.1:{ports[name]}" for name in restarted}
    local_key = _local_key(data)
    is_told_where = state is not None or any(
        f"WINNOW_{name.upper()}_ADDRESS" in os.environ for name in NAMES
    )
    # Whoever else listens where such services are by default is not shown the key.
    key = os.environ.get(KEY_VARIABLE) or (local_key if is_told_where else None)
    if key is None:
        raise Failure(
            f"nothing runs on {data.path}: start it with `winnow up`, or set {KEY_VARIABLE} "
            "and WINNOW_*_ADDRESS to use another deployment",
            UNREACHABLE,
        )
    return Target(addresses, key, restarted)


def _local_key(data: DataDirectory) -> str | None:
    path = data.secrets / KEY_SECRET
    return path.read_text().strip() if path.exists() else None


def data_directory(path: Path | None) -> DataDirectory:
    """The data directory asked for, or the default one."""
    chosen = DataDirectory(path) if path else DataDirectory.default()
    return chosen.resolved()
