"""What a file says is deleted, until all its messages have been sent: a file may say it of any number."""

import json
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Self

from winnow.ingest.v1 import ingest_pb2 as pb

IN_MEMORY_BYTES = 1 << 20


class Deletions:
    """Messages by chat and id, in the order in which they were added; beyond IN_MEMORY_BYTES on disk."""

    def __init__(self) -> None:
        self._rows = SpooledTemporaryFile(  # noqa: SIM115 - closed at the end of the block
            IN_MEMORY_BYTES, "w+", encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, source: pb.SourceRef, external_id: str) -> None:
        """Add a message."""
        row = [source.kind, source.external_id, source.title, external_id]
        self._rows.write(json.dumps(row) + "\n")

    def __iter__(self) -> Iterator[tuple[pb.SourceRef, str]]:
        """All that were added."""
        self._rows.seek(0)
        for row in self._rows:
            kind, chat, title, external_id = json.loads(row)
            yield pb.SourceRef(kind=kind, external_id=chat, title=title), external_id
