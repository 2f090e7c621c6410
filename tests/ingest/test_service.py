"""Ingest's own settings."""

import pytest

from services.common.errors import InvalidSetting
from services.ingest.service import IngestSettings


def test_thresholds_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables decide from which scores on a message is weak or a signal."""
    monkeypatch.setenv("WINNOW_IMPORTANCE_WEAK", "0.2")
    monkeypatch.setenv("WINNOW_IMPORTANCE_SIGNAL", "0.9")
    thresholds = IngestSettings.read().thresholds()
    assert [thresholds.label(score) for score in (0.1, 0.2, 0.9)] == ["noise", "weak", "signal"]


def test_thresholds_out_of_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that contradict each other are an error that names the variables."""
    monkeypatch.setenv("WINNOW_IMPORTANCE_WEAK", "0.9")
    with pytest.raises(InvalidSetting, match="WINNOW_IMPORTANCE_WEAK"):
        IngestSettings.read().thresholds()
