"""Going back to the generation that served before, also when it is asked for twice."""

import asyncio
from functools import partial
from uuid import UUID

import grpc
import pytest

from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Serve, until
from tests.embedder.operating import (
    Operator,
)
from tests.embedder.test_generations import WAITING
from tests.forked import winnow
from winnow.embedder.v1 import embedder_pb2 as pb


async def test_a_roll_back_that_is_asked_for_twice_goes_back_once(
    two_models: Serve, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lost the answer and asks again gets what was left neither from the method nor from the command."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    roll_back = partial(asyncio.to_thread, winnow, "generations", "rollback")
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one"])
        await chat.settled()
        first = (await operator.listed())["first"]
        second = await operator.start("second")
        await operator.watch(second.id)
        await operator.promote(second.id)
        assert (await operator.roll_back()).id == first.id
        with pytest.raises(grpc.aio.AioRpcError) as again:
            await operator.roll_back()
        assert again.value.code() is grpc.StatusCode.ABORTED
        told = f"already rolled back: generation {first.id} serves, and {second.id}, which served before, is newer"
        assert again.value.details() == f"{told}; PromoteGeneration takes it again"
        refused = await roll_back()
        assert refused.returncode == 1
        assert " ".join(refused.stderr.split()).startswith(f"winnow: {told}")
        assert "winnow generations promote ID" in refused.stderr
        assert (await operator.listed())["first"].state == pb.GENERATION_STATE_SERVING
        assert (await roll_back(first.id)).returncode == 0
        assert (await operator.listed())["second"].state == pb.GENERATION_STATE_SERVING
        wrong = await roll_back(first.id)
        assert f"generation {first.id} does not serve" in wrong.stderr
        assert (await roll_back(second.id)).returncode == 0


async def test_a_roll_back_waits_for_a_promotion(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """What another operator promotes meanwhile is not rolled back by who names the one that served until then."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one"])
        await chat.settled()
        second = await operator.start("second")
        third = await operator.start("second", query_prefix="3: ")
        await operator.promote(second.id, force=True)

        async def is_waiting() -> bool:
            return bool(await chat.admin.fetchval(WAITING))

        async with chat.admin.transaction():
            await chat.admin.execute("select embedder.promote_generation($1, true)", UUID(third.id))
            rolling_back = asyncio.create_task(operator.roll_back(second.id))
            await until(is_waiting)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rolling_back
        assert refused.value.details() == f"generation {second.id} does not serve"
        serving = await chat.admin.fetchval(
            "select id from embedder.generation where state = 'serving'"
        )
        assert str(serving) == third.id
