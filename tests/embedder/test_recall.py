"""How much the graphs find is measured, over all there are, where that takes no longer than a statement may."""

import re

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.vectors import of_segments, to_halfvecs
from services.embedder import recall
from services.embedder.recall import Recall, measure_recall
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder
from tests.embedder.operating import open_generations
from tests.embedder.vectors import Filling, circle, filling


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


async def _walked(serving: Filling, bounds: list[str]) -> list[str]:
    """Which indexes the statement walks that asks graphs which end there, one after another."""
    text = of_segments(recall._NEAREST, bounds).format(
        generation=serving.id, dimensions=serving.generation.model.dimensions, nearest=10
    )
    async with serving.database.transaction(serving.chat.workspace) as connection:
        await connection.execute("set local enable_seqscan = off")
        query = to_halfvecs(circle(0))[0]
        plan = await connection.fetch(f"explain {text}", serving.chat.workspace, query)
    lines = "\n".join(row[0] for row in plan)
    return re.findall(r"Index Scan using (\w+) on .*\n\s+Order By", lines)


async def test_all_graphs_are_asked(deployment: Deployment, chat: Chat) -> None:
    """Whether in a graph or in none, all is found; each graph is walked, and one that was merged where it now is."""
    async with filling(chat) as serving:
        built, place = serving.indexing(), (chat.workspace, serving.generation)
        for _ in range(3):
            await serving.add(10)
            assert await built.index(serving.generation)
        await serving.add(7)
        before = await serving.segments()
        bounds = [str(each.until) for each in before]
        assert len(bounds) == 3
        assert await measure_recall(serving.database, *place) == Recall(1.0, 37)
        assert await _walked(serving, bounds) == [each.index_name for each in before]
        await serving.add(3)
        assert await built.index(serving.generation)
        (merged,) = await serving.segments()
        assert merged.rows == 40
        assert await _walked(serving, bounds) == [merged.index_name] * 3
        assert await measure_recall(serving.database, *place) == Recall(1.0, 40)
