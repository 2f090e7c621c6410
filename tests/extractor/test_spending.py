"""A workspace that has spent the day's tokens waits, and nothing that waits is lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.errors import ModelUnavailable, Postponed
from services.extractor.extraction import Completed
from services.extractor.generative import GenerativeEngine
from services.extractor.spending import WAIT_SECONDS_MAX, Cost, Metered, Spending, metered
from services.extractor.subscriptions import ExtractStage
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.models import Answer, PlannedModel, answer
from tests.extractor.provider import provider
from tests.extractor.saved import TALK, change, say, settled
from tests.extractor.test_erasing import LIMITS, window_of
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)
WAITS = """bool_and(state = 'ready' and available_at > now() and error_class = 'postponed' and attempts = 0)
           from spine.task where stage = 'extract' and state <> 'done'"""


async def _spend(deployment: Deployment, tokens: int, when: datetime) -> None:
    """Book what a reading cost."""
    await deployment.admin.execute(
        """insert into extractor.spent as s (workspace_id, day, tokens_in, tokens_out, model_calls)
           values ($1, ($3::timestamptz at time zone 'UTC')::date, $2, 0, 1)
           on conflict (workspace_id, day) do update set tokens_in = s.tokens_in + excluded.tokens_in""",
        deployment.workspace,
        tokens,
        when,
    )


@pytest.mark.parametrize(
    ("until_midnight", "longest"),
    [(timedelta(hours=12), WAIT_SECONDS_MAX + 30), (timedelta(seconds=60), 90)],
)
async def test_the_day_ends_at_midnight(
    deployment: Deployment, until_midnight: timedelta, longest: float
) -> None:
    """What is over the quota waits for midnight at the longest, and looks again before; yesterday does not count."""
    now = await deployment.admin.fetchval("select now()")
    await _spend(deployment, 1000, now - timedelta(days=1))
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        spending = Spending(database, 100, lambda: MIDNIGHT - until_midnight)
        await spending.check(deployment.workspace)
        await _spend(deployment, 99, now)
        await spending.check(deployment.workspace)
        await _spend(deployment, 1, now)
        with pytest.raises(Postponed, match="WINNOW_LLM_TOKENS_PER_DAY") as postponed:
            await spending.check(deployment.workspace)
        assert 0 < postponed.value.retry_seconds <= longest
        await Spending(database, 0).check(deployment.workspace)
        await deployment.other_workspace()
        other = await deployment.admin.fetchval(
            "select workspace_id from spine.workspace where name = 'other'"
        )
        await spending.check(other)


async def test_extraction_waits_and_goes_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the quota no model is called and no attempt is counted; under a higher one what waited is read."""
    with provider() as model:
        monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "generative")
        monkeypatch.setenv("WINNOW_GENERATION_URL", model.url)
        monkeypatch.setenv("WINNOW_GENERATION_MODEL", "double")
        monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
        monkeypatch.setenv("WINNOW_LLM_TOKENS_PER_DAY", "1")
        async with deployment.serving("extractor"):
            await say(deployment, TALK)
            await settled(deployment)
            asked = len(model.requests)
            assert asked
            await say(deployment, [(author, f"again: {text}") for author, text in TALK])
            await until_true(deployment.admin, WAITS)
            assert len(model.requests) == asked
        monkeypatch.setenv("WINNOW_LLM_TOKENS_PER_DAY", "1000000")
        await deployment.admin.execute(
            "update spine.task set available_at = now(), hint_at = now() where state = 'ready'"
        )
        async with deployment.serving("extractor"):
            await settled(deployment)
        assert len(model.requests) > asked


async def test_what_a_failed_reading_cost_counts(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that were answered before the provider failed are counted, beside those of the reading that follows."""
    with provider() as model:
        # The second failure is that of the probe.
        model.plan = ["wrong", "failing", "failing"]
        monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "generative")
        monkeypatch.setenv("WINNOW_GENERATION_URL", model.url)
        monkeypatch.setenv("WINNOW_GENERATION_MODEL", "double")
        monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
        monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.05")
        async with deployment.serving("extractor") as channel:
            await say(deployment, TALK)
            await settled(deployment)
            found = await ExtractorServiceStub(channel).GetProviderStatus(
                pb.GetProviderStatusRequest(), metadata=deployment.metadata
            )
        assert len(model.requests) == 5
    assert (found.model_calls_today, found.tokens_in_today) == (2, 14)
    today = await deployment.admin.fetchval("select spine.tokens_today($1)", deployment.workspace)
    assert today == found.tokens_in_today + found.tokens_out_today
    runs = await deployment.admin.fetch("select model_calls from extractor.run")
    assert [run["model_calls"] for run in runs] == [1]


def _stage(database: Database, model: Metered, spending: Spending) -> ExtractStage:
    """The stage that reads with a model."""
    engine = GenerativeEngine(model, "planned")
    return ExtractStage(database, engine, "planned", LIMITS, lambda: None, spending)


async def test_what_was_read_of_another_text_counts(deployment: Deployment) -> None:
    """A reading that is dropped because its messages changed meanwhile has been paid for all the same."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        stage = _stage(database, Metered(PlannedModel([answer([])])), Spending(database, 0))
        for _ in range(2):
            task = await window_of(database, deployment, source, ids[:1])
            read = await stage.perform([task])
            await change(deployment, ids[0], text=f"{TALK[0][1]} {task.id}")
            async with database.transaction(workspace) as connection:
                await stage.write(connection, workspace, read)
            await deployment.admin.execute("delete from extractor.window_message")
    assert await deployment.admin.fetchval("select count(*) from extractor.run") == 0
    assert await deployment.admin.fetchval("select spine.tokens_today($1)", workspace) == 240


async def test_a_reading_counts_once_whether_or_not_it_is_saved(deployment: Deployment) -> None:
    """Neither a commit that fails nor a lease that is lost leaves out what was paid, and saving it adds nothing."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        stage = _stage(database, Metered(PlannedModel([answer([])])), Spending(database, 0))
        task = await window_of(database, deployment, source, ids)
        await stage.perform([task])
        assert await deployment.admin.fetchval("select spine.tokens_today($1)", workspace) == 120, (
            "what was read and never written"
        )
        read = await stage.perform([task])
        async with database.transaction(workspace) as connection:
            await stage.write(connection, workspace, read)
    assert await deployment.admin.fetchval("select spine.tokens_today($1)", workspace) == 240
    run = await deployment.admin.fetchrow(
        "select tokens_in + tokens_out as cost from extractor.run"
    )
    assert run["cost"] == 120
    gauges = "select tokens_spent from spine.gauges($1)"
    assert await deployment.admin.fetchval(gauges, workspace) == 240


class Interrupted(Metered):
    """A model that answers a call, and then never again, or with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(PlannedModel([Answer("no extraction")]))
        self.silent, self._asked, self._error = asyncio.Event(), 0, error

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Completed:
        """Answer once."""
        self._asked += 1
        if self._asked > 1:
            self.silent.set()
            if self._error:
                raise self._error
            await asyncio.Event().wait()
        return await super().complete(messages, schema, max_tokens)


class Deadlocked(Spending):
    """The database lets nobody count."""

    async def book(self, workspace: UUID, cost: Cost) -> None:
        """Deadlock each time it is tried."""

        async def attempt() -> None:
            async with self._database.transaction(workspace):
                raise asyncpg.DeadlockDetectedError("deadlock detected")

        await self._database.retrying(attempt)


async def _reading(
    database: Database, deployment: Deployment, model: Interrupted, spending: Spending
) -> asyncio.Task[Any]:
    source, ids = await say(deployment, TALK)
    stage = _stage(database, model, spending)
    task = await window_of(database, deployment, source, ids)
    return asyncio.create_task(stage.perform([task]))


async def test_what_a_stopped_reading_cost_counts(deployment: Deployment) -> None:
    """Calls that were answered before the process stopped, or the lease was lost, are counted."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        model = Interrupted()
        reading = await _reading(database, deployment, model, Spending(database, 0))
        await model.silent.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    today = await deployment.admin.fetchval("select spine.tokens_today($1)", deployment.workspace)
    assert today == 120


async def test_a_cost_that_cannot_be_counted_hides_no_error(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that is away is no fault of the task, whatever the database says meanwhile."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        model = Interrupted(ModelUnavailable("away"))
        reading = await _reading(database, deployment, model, Deadlocked(database, 0))
        with pytest.raises(ModelUnavailable):
            await reading
    assert "100 tokens are not counted" in caplog.text


async def test_a_provider_that_counts_nothing_is_counted() -> None:
    """Some servers do not say what an answer took: a quota must stop those as well."""
    model = PlannedModel([Answer("four words of answer", 0, 0)])
    with metered() as cost:
        await Metered(model).complete([{"role": "user", "content": "three words asked"}], None, 10)
    assert (cost.tokens_in, cost.tokens_out, cost.model_calls) == (3, 4, 1)
