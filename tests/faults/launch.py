"""Runs a module as `python -m` does, in a process that ends with the one that started it: `launch MODULE ARGUMENTS`."""

import ctypes
import runpy
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1

if __name__ == "__main__":
    # So that a driver that is killed leaves no replica behind; other systems than Linux do not know this.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
