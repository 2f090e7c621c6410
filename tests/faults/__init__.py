"""Proofs that nothing is lost: real processes and servers, random faults, and invariants checked from what happened."""

import os

# Before anything imports gRPC, whose handlers of forks can end a server before it begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
