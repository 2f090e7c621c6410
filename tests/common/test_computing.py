"""What can wait is computed by threads that let the rest of the machine go first, and by no others."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common.llama import EmbeddingModel
from services.common.models import ResolvedModel

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(
        sys.platform != "linux", reason="threads are scheduled apart on Linux alone"
    ),
]
TEXTS = ["ships " * 40] * 4
THREADS = Path("/proc/self/task")
REFUSING = """
#include <errno.h>
int sched_setscheduler(int id, int policy, const void * parameters) {
    errno = EPERM;
    return -1;
}
"""
NICENESS = """
import os, sys
from pathlib import Path
from services.common.llama import EmbeddingModel
model = EmbeddingModel.open(Path(sys.argv[1]), contexts=3)
threads = [int(name) for name in os.listdir("/proc/self/task")]
print(sorted(os.getpriority(os.PRIO_PROCESS, thread) - os.getpriority(os.PRIO_PROCESS, 0) for thread in threads))
print([thread for thread in threads if os.sched_getscheduler(thread)])
model.close()
"""


def idle_threads() -> set[int]:
    """The threads of this process that run when nobody else does."""
    threads = [int(each.name) for each in THREADS.iterdir()]
    return {thread for thread in threads if os.sched_getscheduler(thread) == os.SCHED_IDLE}


def seconds(threads: set[int]) -> float:
    """The processor time that threads have taken."""
    fields = [(THREADS / str(thread) / "stat").read_text().split(") ")[1] for thread in threads]
    return sum(int(field.split()[11]) for field in fields) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def model(e5: ResolvedModel) -> Iterator[EmbeddingModel]:
    """An embedding model that may encode two batches at once."""
    before = idle_threads()
    model = EmbeddingModel.open(e5.path, contexts=2)
    yield model
    model.close()
    assert idle_threads() == before


async def test_only_what_can_wait_is_computed_by_idle_threads(model: EmbeddingModel) -> None:
    """One for each batch that may be encoded at once; queries and single texts use none of them."""
    threads = idle_threads()
    assert len(threads) == 2
    token_lists = model.tokenize(TEXTS)
    for _ in range(40):
        await model.encode(token_lists[:1], urgent=True)
        await model.encode(token_lists[:1])
    assert seconds(threads) == 0
    lists = [tokens for number in range(40) for tokens in model.tokenize([f"{number} {TEXTS[0]}"])]
    waiting = await model.encode(lists, can_wait=True)
    assert seconds(threads) > 0
    soon = await model.encode(lists[:1], urgent=True)
    assert float(soon[0] @ waiting[0]) > 0.999


def test_where_that_is_refused_they_are_the_least_urgent(e5: ResolvedModel, tmp_path: Path) -> None:
    """A sandbox that allows no policy but the usual one still has threads of the lowest niceness."""
    source, library = tmp_path / "refusing.c", tmp_path / "refusing.so"
    source.write_text(REFUSING)
    subprocess.run(
        [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True
    )
    told = subprocess.run(
        [sys.executable, "-c", NICENESS, e5.path],
        env={**os.environ, "LD_PRELOAD": str(library)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    niceness, apart = (json.loads(line) for line in told.splitlines())
    assert apart == []
    assert niceness[-3:] == [19 - os.getpriority(os.PRIO_PROCESS, 0)] * 3
    assert set(niceness[:-3]) == {0}
