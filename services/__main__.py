"""The one entry point: `winnow …` for people, `run` and `migrate` for a cluster, the same on a laptop."""

import os
import sys

from services.cli.interrupts import end_at_once
from services.cli.streams import drop_unwritten, ended_unread, make_printable, open_standard

# gRPC reports every fork of a process that uses it; starting children is what `up` does.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# A further thread of numpy's OpenBLAS goes on turning after each product, on a processor that models and searches need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command."""
    end_at_once()
    open_standard()
    # To load them takes long enough for Ctrl-C to come meanwhile.
    from services.cli.app import winnow  # noqa: PLC0415

    make_printable()
    try:
        with ended_unread():
            winnow(prog_name="winnow")
    except OSError as error:  # of what is printed before a command begins, as --help on a full disk
        sys.exit(f"winnow: {error.strerror or error}")
    finally:
        drop_unwritten()
        end_at_once()


if __name__ == "__main__":
    main()
