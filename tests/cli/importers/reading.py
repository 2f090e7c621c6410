"""What the tests of every importer do: read to the end or to the failure, and make up JSON of arbitrary shape."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from services.cli.importers import ImportedItem, ImportedMessage, ImportFailure

SLOW_DISK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def messages(items: Iterable[ImportedItem]) -> list[ImportedMessage]:
    """Only the messages."""
    return [item for item in items if isinstance(item, ImportedMessage)]


def drain(source: Iterable[ImportedItem]) -> tuple[list[ImportedItem], ImportFailure | None]:
    """Everything read before the end or the failure."""
    items: list[ImportedItem] = []
    try:
        items.extend(source)
    except ImportFailure as failure:
        return items, failure
    return items, None


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that every user may enter, unlike those that pytest makes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def shut(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder; who is root is somebody else meanwhile."""
    user = os.geteuid()
    folder.chmod(0)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def json_values(keys: str) -> st.SearchStrategy[Any]:
    """JSON of any shape whose objects have some of these keys, apart by spaces."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys.split()), inner, max_size=6)
        ),
        max_leaves=25,
    )
