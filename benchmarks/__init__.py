"""What Winnow takes and gives, measured beside what one would use instead."""

import os

# As `winnow` sets it for a service: some of these run a part of a service in their own process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
