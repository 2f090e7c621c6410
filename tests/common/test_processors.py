"""That a process uses no more threads for numpy's products than the one that asks."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
_PRODUCT = """
import services.__main__
import os
import numpy
rows = numpy.ones((512, 384), numpy.float32)
rows @ rows.T
print(len(os.listdir("/proc/self/task")))
"""


def test_products_are_computed_by_the_thread_that_asks() -> None:
    """Another one would go on turning in a loop."""
    environment = {name: value for name, value in os.environ.items() if "OPENBLAS" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", _PRODUCT],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "1\n"
