"""Faults against the whole of Winnow: seeded schedules over real processes, a history, and its invariants."""

import os

# Before anything imports gRPC, whose handlers of forks can end a server before it begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
