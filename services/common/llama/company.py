"""Who computes at the same time: whoever is alone may use more threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Company:
    """Who encodes at the same time; for threads."""

    def __init__(self) -> None:
        self._count, self._lock = 0, threading.Lock()

    @contextmanager
    def joined(self) -> Iterator[bool]:
        """Be counted for a while; tells whether nobody else was when it began."""
        with self._lock:
            self._count += 1
            alone = self._count == 1
        try:
            yield alone
        finally:
            with self._lock:
                self._count -= 1
