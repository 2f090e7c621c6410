"""The stages of work, and which service works on the tasks of each."""

from typing import Final

READERS: Final = {
    "embed": "embedder",
    "window": "extractor",
    "extract": "extractor",
    "merge": "extractor",
    "erase_extractor": "extractor",
    "erase_embedder": "embedder",
    "rescore": "ingest",
}
STAGES: Final = tuple(READERS)

# Lanes of tasks: what somebody waits for; backfill, hinted a window at a time; history, hinted as it comes.
FRESH: Final = 0
BACKFILL: Final = 1
HISTORY: Final = 2
