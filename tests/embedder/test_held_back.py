"""What holds a generation back is told, and ends the wait for it if it will not pass by itself."""

import asyncio
import subprocess
from collections.abc import Sequence

import grpc
import pytest

from services.common.auth import SCOPES, mint_key, store_key
from services.common.errors import ItemFailed
from services.common.testing import FakeEncoder, spell
from services.common.vectors import Matrix
from services.embedder.embedding import Tokens
from tests.conftest import Deployment, run_winnow
from tests.embedder.conftest import MODELS, Chat, Embedder, fake_models, open_model, until
from tests.embedder.operating import Operator, vector_counts
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

WAIT_SECONDS = 90


class Choosy(FakeEncoder):
    """A model that cannot read some texts."""

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Refuse what is poison."""
        if any("poison" in spell(tokens) for tokens in token_lists):
            raise ItemFailed("refused", "cannot be read")
        return await super().encode(token_lists)


@pytest.fixture(autouse=True)
def settings(deployment: Deployment, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A choosy model beside the others, tasks that die soon, and a key for the command."""
    monkeypatch.setitem(MODELS, "choosy", fake_models(Choosy(16), "choosy"))
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)


@pytest.fixture
async def neighbour(chat: Chat) -> Chat:
    """A chat of another workspace."""
    workspace = await store_key(chat.admin, "other", "test", mint_key(), SCOPES)
    return await Chat(chat.admin, workspace).open()


async def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command beside the service."""
    return await asyncio.to_thread(run_winnow, *arguments, timeout=WAIT_SECONDS)


@pytest.mark.parametrize("whose", ["own", "another's"])
async def test_a_watch_ends_when_only_dead_tasks_are_missing(
    embedder: Embedder, deployment: Deployment, chat: Chat, neighbour: Chat, whose: str
) -> None:
    """It says how many are dead in how many workspaces and how to replay them, and so does the refusal to promote."""
    poisoned = chat if whose == "own" else neighbour
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one", "two"])
        await poisoned.say(["poison"])
        await until(lambda: vector_counts(chat, [3]))
        started = await operator.start("choosy")
        async with asyncio.timeout(WAIT_SECONDS):
            last = await operator.watch(started.id)
        own = int(whose == "own")
        assert (last.finished, last.only_dead_missing) == (False, True)
        assert (last.missing, last.dead) == (own, own)
        assert (last.missing_everywhere, last.dead_everywhere, last.dead_workspaces) == (1, 1, 1)
        assert last.queries_compared == 2
        shown = await run("generations", "watch", started.id)
        assert shown.returncode == 1
        assert "1 vector failed too often, in 1 of the workspaces" in shown.stderr
        assert "winnow dead replay --stage embed" in shown.stderr
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.promote(started.id)
        refused = await run("generations", "promote", started.id)
        assert refused.returncode == 1
        assert "winnow dead replay --stage embed" in refused.stderr
    told = "lacks 1 vectors; 1 failed too often in 1 workspaces: ReplayTasks"
    assert caught.value.details() == f"generation {started.id} {told}"


async def test_a_pause_elsewhere_is_named_and_can_be_ended(
    embedder: Embedder, deployment: Deployment, chat: Chat, neighbour: Chat
) -> None:
    """A paused backfill keeps a generation from all, so who operates is told of it and can let it go on."""
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator, stub = Operator(channel, deployment), EmbedderServiceStub(channel)
        await chat.say(["one", "two"])
        await neighbour.say(["three", "four", "five"])
        await until(lambda: vector_counts(chat, [5]))
        await _pause(neighbour)
        started = await operator.start("second")
        request = pb.WatchGenerationRequest(generation_id=started.id)
        replies = aiter(stub.WatchGeneration(request, metadata=deployment.metadata, timeout=90))
        while not (reply := await anext(replies)).paused_everywhere:
            assert not reply.finished
        assert (reply.missing_everywhere, reply.paused_everywhere) == (3, 3)
        assert (reply.paused_workspaces, reply.only_dead_missing) == (1, False)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.promote(started.id)
        told = "lacks 3 vectors; 3 wait in 1 workspaces with a paused backfill: ResumeBackfills"
        assert caught.value.details() == f"generation {started.id} {told}"
        refused = await run("generations", "promote", started.id)
        assert refused.returncode == 1
        assert "`winnow generations resume` lets all backfills go on" in refused.stderr
        shown = await run("generations", "resume")
        assert shown.stdout.strip() == "1 workspace goes on with the backfill"
        assert await operator.resume() == 0
        *_, last = [reply async for reply in replies]
        assert last.finished
        assert (await operator.promote(started.id)).state == pb.GENERATION_STATE_SERVING


async def _pause(chat: Chat) -> None:
    """Hold the backfill of a chat's workspace back."""
    await chat.admin.execute(
        "select set_config('winnow.workspace_id', $1, false)", str(chat.workspace)
    )
    await chat.admin.execute("select spine.pause_backfill($1, true)", chat.workspace)
