"""The one entry point: `winnow …` for people, `run` and `migrate` for a cluster, the same on a laptop."""

import os

# gRPC reports every fork of a process that uses it; starting children is what `up` does.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from services.cli.app import winnow


def main() -> None:
    """Run the command."""
    winnow(prog_name="winnow")


if __name__ == "__main__":
    main()
