"""Answers of models are checked at a cost that their texts bound, whatever the answers cite."""

import pytest

from services.extractor import grounding
from services.extractor.answers import check
from tests.extractor.conversation import talk
from tests.extractor.models import atom


def test_texts_are_folded_once_however_often_they_are_cited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every item may cite every message of a window, and each message may be long."""
    folded = 0
    fold_cluster = grounding._fold_cluster

    def counting(cluster: str) -> str:
        nonlocal folded
        folded += len(cluster)
        return fold_cluster(cluster)

    monkeypatch.setattr(grounding, "_fold_cluster", counting)
    said = "the staging deploy fails because migration 42 hangs on the users table "
    messages = talk(*[f"ann: {n}. {said * 20}" for n in range(9)])
    items = [atom(ids=[*range(1, 10)], quote=f"[1] ann: {said[:n]}") for n in range(40, 60)]
    checked = check({"atoms": items}, messages.own)
    assert len(checked.atoms) == 1
    assert checked.rejected == {"duplicate": 19}
    assert folded < 2 * sum(len(message.text) for message in messages.own)
