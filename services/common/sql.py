"""Named queries: each service keeps its SQL in one file beside the functions that run it."""

import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(path: Path) -> Mapping[str, str]:
    """Return the queries of a file by the name in the `-- name: …` line above each."""
    pieces = _NAME.split(path.read_text(encoding="utf-8"))
    names, bodies = pieces[1::2], pieces[2::2]
    queries = {name: body.strip().rstrip(";") for name, body in zip(names, bodies, strict=True)}
    if len(queries) != len(names):
        raise ValueError(f"{path}: two queries have the same name")
    return queries
