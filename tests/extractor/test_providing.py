"""Who reads conversations, and how the model behind it does, as people can ask."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.common.breaker import Breaker
from services.common.database import Database, DatabaseSettings
from services.extractor.aptitude import Aptitude, AptitudeNotes
from services.extractor.combined import CombinedEngine
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.service import ExtractorSettings, model_digest
from services.extractor.subscriptions import ExtractStage
from tests.cli.test_knowledge import Command
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.models import PlannedModel, answer
from tests.extractor.provider import provider
from tests.extractor.saved import TALK, say, settled
from tests.extractor.test_erasing import LIMITS, window_of
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows close at once, and what is given back is tried again soon."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_RELAY_IDLE_SECONDS", "0.05")
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.05")


async def status(deployment: Deployment, channel: Any) -> pb.GetProviderStatusResponse:
    """Ask the extractor."""
    call = ExtractorServiceStub(channel).GetProviderStatus
    response: pb.GetProviderStatusResponse = await call(
        pb.GetProviderStatusRequest(), metadata=deployment.metadata
    )
    return response


async def test_an_engine_without_a_model_says_so(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No model, no provider, nothing spent, a closed breaker; the command says it in words."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    async with deployment.serving("extractor") as channel:
        found = await status(deployment, channel)
        assert (found.engine, found.model, found.provider) == ("grounded", "", "")
        assert found.capability == pb.CAPABILITY_NONE
        assert (found.breaker_state, found.last_error) == (pb.BREAKER_STATE_CLOSED, "")
        assert (found.tokens_in_today, found.model_calls_today) == (0, 0)
        winnow = Command(deployment)
        said = await winnow.said("provider")
        assert "model     none is called" in said
        assert "closed, no error since the start" in said
        assert (await winnow.json("provider"))["engine"] == "grounded"


async def test_a_provider_that_fails_is_seen_to(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its failures and its last error; once it answers the breaker is closed and tokens are counted."""
    with provider() as model:
        model.always = "broken"
        monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "generative")
        monkeypatch.setenv("WINNOW_GENERATION_URL", model.url)
        monkeypatch.setenv("WINNOW_GENERATION_MODEL", "double")
        monkeypatch.setenv("WINNOW_MODELS_DIR", str(tmp_path))
        AptitudeNotes(tmp_path).remember(
            model_digest(ExtractorSettings.read()), Aptitude(0.75, 0.5, 0.25, 12.5)
        )
        async with deployment.serving("extractor") as channel:
            await say(deployment, TALK)
            failed = "count(*) > 0 from spine.task where stage = 'extract' and error_class = 'Unanswered'"
            await until_true(deployment.admin, failed)
            found = await status(deployment, channel)
            assert (found.engine, found.model, found.provider) == (
                "generative",
                "double",
                "127.0.0.1",
            )
            assert found.capability == pb.CAPABILITY_EXTRACT
            assert found.failures >= 1
            assert found.last_error.startswith("127.0.0.1")
            assert found.HasField("last_error_at")
            assert found.aptitude.tells == 0.75
            model.always = ""
            await settled(deployment)
            found = await status(deployment, channel)
            assert (found.failures, found.breaker_state) == (0, pb.BREAKER_STATE_CLOSED)
            assert found.tokens_in_today > 0
            assert found.model_calls_today == 1
            assert found.last_error
            assert "double by 127.0.0.1, trusted with extract" in await Command(deployment).said(
                "provider"
            )


async def test_a_window_that_no_model_is_asked_about_says_nothing_of_the_provider(
    deployment: Deployment,
) -> None:
    """What has changed since, or gives a model nothing to do, is done without it, and closes no breaker."""
    model = PlannedModel([answer([])])
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        task = await window_of(database, deployment, source, ids)
        for engine, spec, answered in (
            (GenerativeEngine(model, "planned"), task.spec, True),
            (GenerativeEngine(model, "planned"), "version:another", False),
            (CombinedEngine(GroundedEngine(), model, "none", "planned"), task.spec, False),
        ):
            stage = ExtractStage(database, engine, "planned", LIMITS, lambda: None)
            (read,) = await stage.perform([replace(task, spec=spec)])
            assert read.answered is answered


def test_an_open_breaker_names_its_error() -> None:
    """Failures in a row, the last error, and for how long the provider is left alone."""
    now = 0.0
    breaker = Breaker(lambda: now)
    for number in range(3):
        breaker.failed(0, f"error {number}")
    assert (breaker.failures, breaker.last_error) == (3, "error 2")
    assert breaker.wait_seconds() == 1
    breaker.succeeded()
    assert (breaker.failures, breaker.wait_seconds(), breaker.last_error) == (0, 0, "error 2")
