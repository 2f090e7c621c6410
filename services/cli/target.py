"""Where the services are and with which key they are called: from the environment, or from a running `winnow up`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import grpc

from services.cli.embedded.files import read_word
from services.cli.embedded.paths import DataDirectory
from services.cli.failures import UNREACHABLE, USAGE, Failure, kept_running
from services.cli.quotas import waiting_for_quota
from services.common.addresses import NAMES, AddressSettings
from services.common.channels import dial

KEY_VARIABLE = "WINNOW_API_KEY"
DATA_VARIABLE = "WINNOW_DATA_DIR"
KEY_SECRET = "api-key"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class Target:
    """A deployment as a client sees it."""

    addresses: dict[str, str]
    api_key: str
    restarted: frozenset[str] = frozenset()  # the services that a running `winnow up` starts again
    unplaced: frozenset[str] = frozenset()  # those of which nobody says where they run

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that every call needs."""
        return (("authorization", f"Bearer {self.api_key}"),)

    @asynccontextmanager
    async def channel(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        """Open a channel to a service. Raises Failure where the key might be shown to somebody else."""
        if name in self.unplaced:
            raise Failure(
                f"it is not known where {name} runs, and who else may listen at its usual address is not shown "
                f"the key: set WINNOW_{name.upper()}_ADDRESS",
                UNREACHABLE,
            )
        telling = kept_running(name) if name in self.restarted else nullcontext()
        async with dial(self.addresses[name], interceptors=waiting_for_quota()) as channel:
            with telling:
                yield channel


def find(data: DataDirectory) -> Target:
    """Return the deployment that the environment names, else the one that runs on the data directory."""
    settings = AddressSettings.read()
    state = data.runtime_state()
    addresses = {name: settings.of(name) for name in NAMES}
    told = frozenset(name for name in NAMES if f"WINNOW_{name.upper()}_ADDRESS" in os.environ)
    restarted: frozenset[str] = frozenset()
    if state is not None:
        ports = state.ports.model_dump()
        restarted = frozenset(NAMES) - told
        addresses |= {name: f"127.0.0.1:{ports[name]}" for name in restarted}
    if given := os.environ.get(KEY_VARIABLE):
        return Target(addresses, _checked(given), restarted)
    key, placed = _local_key(data), told | restarted
    # Whoever else listens where such services are by default is not shown the key.
    if key is None or not placed:
        raise Failure(
            f"nothing runs on {data.path}: start it with `winnow up{data_option(data)}`, or set {KEY_VARIABLE} "
            "and WINNOW_*_ADDRESS to use another deployment",
            UNREACHABLE,
        )
    return Target(addresses, key, restarted, frozenset(NAMES) - placed)


def _local_key(data: DataDirectory) -> str | None:
    path = data.secrets / KEY_SECRET
    if not path.exists():
        return None
    if key := read_word(path):
        return key
    raise Failure(
        f"{path}: is no API key, which looks like wk_PREFIX.SECRET: start `winnow up` again, which makes another",
        USAGE,
    )


def _checked(text: str) -> str:
    """The environment's key without what is blank around it. Raises Failure for what no call could carry."""
    key = text.strip()
    if not (key.isascii() and key.isprintable()) or not key:
        raise Failure(f"{KEY_VARIABLE}: is no API key, which looks like wk_PREFIX.SECRET", USAGE)
    return key


def data_directory(path: Path | None) -> DataDirectory:
    """The data directory asked for, by the option or else the environment, or the default one."""
    path = path or Path(os.environ.get(DATA_VARIABLE, ""))
    chosen = DataDirectory(path) if path.parts else DataDirectory.default()
    return chosen.resolved()


def data_option(data: DataDirectory) -> str:
    """What a command that is told to the user needs to use this directory; nothing where it would anyway."""
    return "" if data == data_directory(None) else f" --data-dir {quote(str(data.path))}"
