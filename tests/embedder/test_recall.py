"""How much an index finds is measured where that takes no longer than a statement may."""

import pytest

from services.common.database import Database, DatabaseSettings
from services.embedder import recall
from services.embedder.recall import Recall, measure_recall
from tests.embedder.conftest import Chat, Embedder
from tests.embedder.operating import open_generations


async def test_of_too_many_vectors_none_is_compared(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One exact comparison with very many takes longer than a statement may: the watch ends without it, and well."""
    async with embedder.serving():
        await chat.say([f"text {n}" for n in range(20)])
        await chat.settled()
    settings = DatabaseSettings.read().model_copy(update={"statement_timeout_seconds": 0.5})
    async with Database.open(settings, "winnow_embedder") as database:
        (serving,) = await (await open_generations(database)).refresh()
        assert await measure_recall(database, chat.workspace, serving) == Recall(1.0, 20)
        # As with some ten million.
        slow = recall._NEAREST.replace("select ", "select pg_sleep(1), ", 1)
        monkeypatch.setattr(recall, "_NEAREST", slow)
        assert await measure_recall(database, chat.workspace, serving) == Recall(0.0, 0)
