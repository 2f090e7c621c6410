"""What an import keeps of the deletions that a file tells of."""

import tracemalloc

from services.cli.deletions import IN_MEMORY_BYTES, Deletions
from winnow.ingest.v1 import ingest_pb2 as pb

SOURCE = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="chat", title="Chat")


def test_memory_stays_flat_however_many_there_are() -> None:
    """A file may delete any number of messages, of which memory holds so much and no more; all are told in order."""
    key, count = "{:0250}", 6 * IN_MEMORY_BYTES // 250
    tracemalloc.start()
    with Deletions() as deletions:
        for number in range(count):
            deletions.add(SOURCE, key.format(number))
        assert all(told == (SOURCE, key.format(n)) for n, told in enumerate(deletions))
        assert sum(1 for _ in deletions) == count
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * IN_MEMORY_BYTES
