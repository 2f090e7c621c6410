"""The one entry point: `winnow …` for people, `run` and `migrate` for a cluster, the same on a laptop."""

import os
import sys

# gRPC reports every fork of a process that uses it; starting children is what `up` does.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from services.cli.app import winnow
from services.cli.streams import make_printable


def main() -> None:
    """Run the command."""
    make_printable()
    try:
        winnow(prog_name="winnow")
    except OSError as error:  # of what is printed before a command begins, as --help on a full disk
        sys.exit(f"winnow: {error.strerror or error}")


if __name__ == "__main__":
    main()
