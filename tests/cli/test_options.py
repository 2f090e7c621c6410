"""What every command shares: that it says what it waits for."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli import options
from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session


async def test_a_slow_service_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits learns for what, once a service; who is answered at once is told nothing."""
    monkeypatch.setattr(options, "TOLD_AFTER_SECONDS", 0.01)
    said = io.StringIO()
    session = Session(
        DataDirectory(tmp_path), False, Console(file=io.StringIO()), Console(file=said)
    )
    with session.patience("ingest"):
        pass
    await asyncio.sleep(0.03)
    assert said.getvalue() == ""
    for _ in range(2):
        with session.patience("search"):
            await asyncio.sleep(0.03)
    assert said.getvalue() == "waiting for search …\n"
