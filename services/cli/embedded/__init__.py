"""PostgreSQL and NATS as children of `winnow up`, and the services beside them.

    with cancelled_by(signal.SIGINT, signal.SIGTERM):
        async with EmbeddedRuntime.open(DataDirectory(path), on_event=print) as runtime:
            await migrate(runtime.admin_database_url)
            await runtime.supervise([Child(name="ingest", command=..., environment=...)])

The servers listen on loopback with passwords of their own and are durable; a child that dies is started
again; one that keeps dying ends everything with ChildFailed. Leaving the block, for whatever reason, stops the
children in reverse order. What a killed predecessor left on the directory is ended at the next start.
`DataDirectory.runtime_state()` tells other processes where the servers are. Every error is an EmbeddedError.
"""

from services.cli.embedded.errors import (
    BinaryUnusable,
    ChildFailed,
    DataDirectoryBusy,
    DataDirectoryUnusable,
    EmbeddedError,
    PortUnavailable,
)
from services.cli.embedded.paths import DataDirectory, RuntimeState
from services.cli.embedded.ports import Ports
from services.cli.embedded.process import Account, server_account
from services.cli.embedded.runtime import EmbeddedRuntime, cancelled_by
from services.cli.embedded.supervisor import Child, Event, RestartPolicy, State

__all__ = [
    "Account",
    "BinaryUnusable",
    "Child",
    "ChildFailed",
    "DataDirectory",
    "DataDirectoryBusy",
    "DataDirectoryUnusable",
    "EmbeddedError",
    "EmbeddedRuntime",
    "Event",
    "PortUnavailable",
    "Ports",
    "RestartPolicy",
    "RuntimeState",
    "State",
    "cancelled_by",
    "server_account",
]
