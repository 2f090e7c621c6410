"""The curated windows of the repository: they can be read, and the engine finds in them what it has found."""

from pathlib import Path

import pytest

from services.evaluating import label_messages
from services.extractor.evaluation import evaluate, read_golds
from services.extractor.grounded import GroundedEngine

CURATED = Path(__file__).parents[2] / "benchmarks" / "curated"


@pytest.mark.parametrize("part", ["seen", "unseen"])
@pytest.mark.parametrize("kind", ["developers", "teams", "workplaces"])
def test_every_atom_cites_messages_of_its_window(part: str, kind: str) -> None:
    """What is curated stands within its window, and no window is there twice."""
    golds = read_golds(CURATED / part / kind)
    assert len({gold.name for gold in golds}) == len(golds)
    for gold in golds:
        assert all(atom.message_ids <= set(gold.message_ids) for atom in gold.atoms), gold.name


@pytest.mark.parametrize("part", ["seen", "unseen"])
async def test_teams_are_read_as_well_as_they_were(part: str) -> None:
    """Four in five of what matters is found, and three in four of what is found is right, or nearly so."""
    figures = await evaluate(CURATED / part / "teams", GroundedEngine(), score=label_messages)
    assert figures["essential_recall"] >= 0.8
    assert figures["precision"] >= 0.7
    assert figures["grounded"] == 1.0
