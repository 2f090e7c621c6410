"""The embedded NATS server: JetStream on loopback, a key for each service, and no word to anybody else."""

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cli.embedded.files import make_private, write_private
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import LOOPBACK, Ports
from services.cli.embedded.process import Account, end, minimal_environment, running, until
from services.cli.embedded.supervisor import Child
from services.common.bus_access import SERVICES
from services.common.bus_access import users as bus_users
from services.common.seeds import public_key

USER = "winnow"
_FILE_STORE_BYTES_MAX = 8 << 30
_MEMORY_STORE_BYTES_MAX = 64 << 20
_PAYLOAD_BYTES_MAX = 1 << 20
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Nats:
    """A NATS server over one data directory."""

    data: DataDirectory
    program: Path
    ports: Ports
    account: Account | None

    @property
    def url(self) -> str:
        """Return the owner's URL, password included; services have keys, and may do less."""
        return f"nats://{USER}:{self._password}@{LOOPBACK}:{self.ports.nats}"

    def child(self) -> Child:
        """Return the server as a child to supervise."""
        return Child(
            name="nats",
            command=self._command,
            environment=minimal_environment(),
            ready=self._healthy,
            before_start=self._prepare,
            account=self.account,
            death_signal=signal.SIGTERM,
        )

    @property
    def _password(self) -> str:
        return self.data.secret("nats.password")

    def _command(self) -> Sequence[str]:
        return [str(self.program), "--config", str(_config_file(self.data))]

    async def _prepare(self) -> None:
        make_private(self.data.nats, self.account)
        write_private(_config_file(self.data), self._config(), self.account)
        await reclaim(self.data)

    def _config(self) -> str:
        """Return the configuration; strings are JSON, which the format accepts."""

        def text(value: object) -> str:
            return json.dumps(str(value), ensure_ascii=False)

        keys = {service: public_key(self.data.nats_seed(service)) for service in SERVICES}
        users = "\n    ".join(bus_users(keys))
        # No sync_interval: messages only hint at rows of PostgreSQL, so those that a power cut takes
        # with the default flush are sent again; `always` would cost an fsync a publish for nothing.
        return f"""server_name: winnow
listen: {text(f"{LOOPBACK}:{self.ports.nats}")}
http: {text(f"{LOOPBACK}:{self.ports.nats_monitor}")}
max_payload: {_PAYLOAD_BYTES_MAX}
jetstream {{
  store_dir: {text(self.data.nats)}
  max_file_store: {_FILE_STORE_BYTES_MAX}
  max_memory_store: {_MEMORY_STORE_BYTES_MAX}
}}
authorization {{
  users: [
    {{ user: {text(USER)}, password: {text(self._password)} }}
    {users}
  ]
}}
"""

    async def _healthy(self, pid: int) -> None:
        await until(lambda: _answers(self.ports.nats_monitor))


async def reclaim(data: DataDirectory) -> None:
    """End a server that a killed supervisor left on the data directory."""
    left = [
        process.identity
        for process in running("nats-server")
        if str(_config_file(data)) in process.arguments
    ]
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = await end(left, number, _STOP_SECONDS)


def _config_file(data: DataDirectory) -> Path:
    return data.nats / "nats.conf"


async def _answers(port: int) -> bool:
    """Return whether the health endpoint says ok, streams included."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
