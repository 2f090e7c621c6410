"""The stages of work, and which service works on the tasks of each."""

from typing import Final

READERS: Final = {
    "embed": "embedder",
    "window": "extractor",
    "extract": "extractor",
    "merge": "extractor",
    "erase": "ingest",
    "erase_extractor": "extractor",
    "erase_embedder": "embedder",
    "rescore": "ingest",
}
STAGES: Final = tuple(READERS)

# Lanes of tasks: what somebody waits for; backfill, hinted a window at a time; history, hinted as it comes.
FRESH: Final = 0
BACKFILL: Final = 1
HISTORY: Final = 2
# What waits behind all that is fresh.
BEHIND: Final = (BACKFILL, HISTORY)


def backfill_of(stage: str) -> str:
    """The name under which the hints of a stage's backfill travel, apart from those of its fresh tasks."""
    return f"{stage}_backfill"


def consumer_of(stage: str, lane: int) -> str:
    """Who is given the hints of a stage's tasks in a lane."""
    return stage if lane == FRESH else backfill_of(stage)


# Where tasks wait: every stage's fresh ones, and those behind them of the stages that have such.
PLACES = (
    *((stage, FRESH) for stage in READERS),
    *(("embed", lane) for lane in BEHIND),
    ("extract", HISTORY),
)

# Which service reads the hints of each consumer.
CONSUMERS = {consumer_of(stage, lane): READERS[stage] for stage, lane in PLACES}
