"""Every provider of a model keeps one contract; a URL also keeps its head when the other side does not."""

import asyncio
import json
import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.doctor import provider_findings
from services.common.endpoint import retry_after_seconds
from services.common.errors import (
    InvalidSetting,
    ItemFailed,
    ModelUnavailable,
    ProviderBusy,
    Unavailable,
    WinnowError,
)
from services.common.llama import GenerationModel
from services.common.models import ModelStore
from services.common.openai import OpenAIModel, ProviderSettings
from services.extractor.answers import extract_schema, headline_schema
from services.extractor.combined import CombinedEngine
from services.extractor.extraction import Model
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.service import ExtractorSettings, open_engine
from tests.extractor.conversation import talk
from tests.extractor.provider import Provider, provider
from tests.extractor.test_combined import LONG

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["problem", "solution"]},
        "title": {"type": "string", "maxLength": 40},
    },
    "required": ["kind", "title"],
    "additionalProperties": False,
}
CHAT = [{"role": "user", "content": "The disk is full. What kind of note is this? Answer in JSON."}]


@pytest.fixture
def double() -> Iterator[Provider]:
    """A provider behind a URL."""
    with provider() as running:
        yield running


@pytest.fixture(scope="module")
def llama() -> Iterator[GenerationModel]:
    """The default model in this process."""
    path = ModelStore.open().fetch("smollm2-135m-instruct", "generation").path
    model = GenerationModel.open(path, context_tokens=2048)
    yield model
    model.close()


@pytest.fixture(params=[pytest.param("llama.cpp", marks=pytest.mark.models), "url"])
def model(request: pytest.FixtureRequest, double: Provider) -> Model:
    """Each kind of provider."""
    if request.param == "url":
        return OpenAIModel(double.url, "double", timeout_seconds=30)
    found: Model = request.getfixturevalue("llama")
    return found


async def test_a_schema_holds_the_answer(model: Model) -> None:
    """An answer under a schema is JSON of its shape, ends by itself, and says what it cost."""
    completion = await model.complete(CHAT, SCHEMA, 200)
    answer = json.loads(completion.text)
    assert set(answer) == {"kind", "title"}
    assert answer["kind"] in ("problem", "solution")
    assert completion.finish_reason == "stop"
    assert completion.tokens_in > 0
    assert completion.tokens_out > 0


@pytest.mark.parametrize(
    "schema", [extract_schema(3), headline_schema()], ids=["extract", "headline"]
)
async def test_our_own_schemas_are_taken(model: Model, schema: dict[str, object]) -> None:
    """The schemas that engines ask with give objects with their lists."""
    completion = await model.complete(CHAT, schema, 600)
    if completion.finish_reason == "stop":
        assert json.loads(completion.text).keys() == set(schema["required"])  # type: ignore[call-overload]


async def test_an_answer_without_a_schema_is_cut_at_its_bound(model: Model) -> None:
    """max_tokens ends a text, and the completion says so."""
    completion = await model.complete(
        [{"role": "user", "content": "Count to a thousand."}], None, 5
    )
    assert completion.finish_reason == "length"
    assert 0 < completion.tokens_out <= 5


async def test_a_choice_is_a_distribution(model: Model) -> None:
    """Every option has a finite log-probability, and together they are certain."""
    scores = await model.choose("The disk is full. This note is a", [" problem", " solution"])
    assert len(scores) == 2
    assert math.isclose(sum(math.exp(score) for score in scores), 1, abs_tol=1e-6)
    with pytest.raises(ValueError, match="options"):
        await model.choose("This note is a", [])


async def test_tokens_are_counted(model: Model) -> None:
    """A longer prompt takes more tokens, whatever its language."""
    assert 0 < model.count_tokens("диск") < model.count_tokens("на диску немає місця " * 10)


async def test_calls_wait_for_each_other(model: Model) -> None:
    """Calls at once are all answered."""
    completions = await asyncio.gather(*(model.complete(CHAT, SCHEMA, 100) for _ in range(3)))
    assert all(completion.text for completion in completions)


async def test_a_prompt_too_long_is_its_own_fault(model: Model) -> None:
    """What does not fit is an error of that prompt, not an outage of the provider."""
    with pytest.raises(WinnowError) as failure:
        await model.complete([{"role": "user", "content": "word " * 30_000}], SCHEMA, 50)
    assert not isinstance(failure.value, Unavailable)


# --- behind a URL


async def test_a_request_is_as_providers_know_it(double: Provider) -> None:
    """Model, key, bound, temperature and a strict schema without bounds on strings; the option it names wins."""
    model = OpenAIModel(double.url + "/", "double", "sk-1")
    scores = await model.choose("This note is a", [" problem", " solution"])
    assert scores[0] > scores[1]
    (asked,) = double.requests
    assert (asked["model"], asked["temperature"], asked["stream"]) == ("double", 0, False)
    form = asked["response_format"]["json_schema"]
    assert form["strict"] is True
    assert double.keys == ["Bearer sk-1"]
    await model.complete(CHAT, SCHEMA, 10)
    assert "maxLength" not in json.dumps(double.requests[1])


async def test_an_undecided_choice_is_even(double: Provider) -> None:
    """An answer that names no option says nothing."""
    double.always = "wrong"
    scores = await OpenAIModel(double.url, "double").choose("This note is a", ["a", "b"])
    assert scores == [-math.log(2)] * 2


@pytest.mark.parametrize(
    "fault", ["broken", "forbidden", "hang", "drip", "drop", "busy", "failing", "choiceless"]
)
async def test_an_outage_is_the_providers_fault(double: Provider, fault: str) -> None:
    """Errors, silence, drops and drips give the work back; the next call is answered again."""
    double.plan = [fault]
    model = OpenAIModel(double.url, "double", "sk-secret", timeout_seconds=3)
    with pytest.raises(ModelUnavailable) as failure:
        await model.complete(CHAT, SCHEMA, 100)
    assert failure.value.retry_seconds > 0
    assert "secret" not in str(failure.value)
    assert isinstance(failure.value, ProviderBusy) == (fault == "busy")
    assert json.loads((await model.complete(CHAT, SCHEMA, 100)).text)


async def test_no_proxy_stands_before_this_machine(
    double: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model on this machine, as of Ollama, is asked itself, though the environment names a proxy."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    answered = await OpenAIModel(double.url, "double").complete(CHAT, SCHEMA, 100)
    assert answered.text


async def test_nobody_there(double: Provider) -> None:
    """A refused connection, a URL that is no API, and a host that does not exist are outages."""
    closed = "http://127.0.0.1:9/v1"
    for url in (closed, double.url + "/nothing", "http://host.invalid/v1"):
        with pytest.raises(ModelUnavailable):
            await OpenAIModel(url, "double").complete(CHAT, None, 5)


@pytest.mark.parametrize(("fault", "error"), [("huge", "answer_too_long"), ("page", "bad_answer")])
async def test_an_answer_that_is_none_fails_its_item(
    double: Provider, fault: str, error: str
) -> None:
    """Ten megabytes, or a page of a gateway, are refused without being read to their end or believed."""
    double.plan = [fault]
    with pytest.raises(ItemFailed) as failure:
        await OpenAIModel(double.url, "double").complete(CHAT, SCHEMA, 100)
    assert failure.value.error_class == error


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("truncated", "cut_off"),
        *((fault, "invalid") for fault in ("wrong", "empty", "page", "huge")),
    ],
)
async def test_bad_content_is_an_outcome(double: Provider, fault: str, outcome: str) -> None:
    """What a model says badly ends in the engine's outcomes, after its smaller tries."""
    double.always = fault
    engine = GenerativeEngine(OpenAIModel(double.url, "double"), "double")
    window = talk("ann: The disk of db-2 is full.", "bob: Prune the WAL archive.")
    extraction = await engine.extract(window)
    assert (extraction.outcome, extraction.atoms) == (outcome, ())
    assert extraction.model_calls == len(double.requests) == 3
    behind = GenerativeEngine(OpenAIModel(double.url, "double"), "double", GroundedEngine())
    assert (await behind.extract(LONG)).atoms == (await GroundedEngine().extract(LONG)).atoms


async def test_a_wrong_language_is_believed_nowhere(double: Provider) -> None:
    """Words of a language that nobody wrote are refused: nothing of them is kept, and nothing is lost for them."""
    double.always = "foreign"
    model = OpenAIModel(double.url, "double")
    window = talk("ann: The disk of db-2 is full.", "bob: Prune the WAL archive.")
    generated = await GenerativeEngine(model, "double").extract(window)
    assert (generated.outcome, generated.rejected) == ("ungrounded", {"quote_mismatch": 1})
    combined = await CombinedEngine(GroundedEngine(), model, "generate", "double").extract(LONG)
    assert combined.rejected == {"unsupported": 1}
    assert combined.atoms == (await GroundedEngine().extract(LONG)).atoms


async def test_an_answer_that_is_none_costs_no_window(double: Provider) -> None:
    """Ten megabytes or a gateway's page instead of a headline leave the window as its structure has it."""
    for fault in ("huge", "page", "truncated", "wrong", "empty"):
        double.always = fault
        engine = CombinedEngine(GroundedEngine(), OpenAIModel(double.url, "double"), "generate")
        extraction = await engine.extract(LONG)
        assert extraction.atoms == (await GroundedEngine().extract(LONG)).atoms
        assert extraction.rejected == {"no_answer": 1}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0),
        ("7", 7),
        ("999999", 3600),
        ("-1", 0),
        ("soon", 0),
        ("Mon, 05 Jan 2026 09:00:30 GMT", 30),
        ("Mon, 05 Jan 2026 08:00:00 GMT", 0),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    """Seconds and dates are understood and bounded; anything else asks for nothing."""
    assert retry_after_seconds(value, datetime(2026, 1, 5, 9, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:11434", "ftp://host/v1", "http://user:pass@host/v1", "http://[::1/v1"]
)
def test_a_bad_url_is_named(url: str) -> None:
    """A URL that cannot be one is refused at the start by the name of its setting."""
    with pytest.raises(InvalidSetting, match="WINNOW_GENERATION_URL"):
        OpenAIModel(url, "double")


async def test_the_key_comes_from_a_file_and_is_logged_nowhere(
    double: Provider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The file wins over the environment; a file that is not there is named; nothing shows a key."""
    path = tmp_path / "key"
    path.write_text("sk-from-file\n")
    monkeypatch.setenv("WINNOW_GENERATION_URL", double.url)
    monkeypatch.setenv("WINNOW_GENERATION_API_KEY", "sk-from-environment")
    monkeypatch.setenv("WINNOW_GENERATION_API_KEY_FILE", str(path))
    settings = ProviderSettings.read()
    with caplog.at_level(logging.DEBUG):
        await OpenAIModel.open(settings, "double").complete(CHAT, None, 5)
    assert double.keys == ["Bearer sk-from-file"]
    assert "sk-" not in caplog.text + repr(settings)
    path.unlink()
    with pytest.raises(InvalidSetting, match="WINNOW_GENERATION_API_KEY_FILE"):
        settings.api_key()
    path.write_text("two\nlines")
    with pytest.raises(InvalidSetting, match="WINNOW_GENERATION_API_KEY"):
        OpenAIModel.open(settings, "double")


@pytest.mark.parametrize(
    ("behaviour", "ok", "said"),
    [("", True, "answers"), ("wrong", False, "JSON schema"), ("forbidden", False, "401")],
)
async def test_the_doctor_asks_the_provider(
    double: Provider, monkeypatch: pytest.MonkeyPatch, behaviour: str, ok: bool, said: str
) -> None:
    """`winnow doctor` says whether the model behind the URL answers and holds to a schema."""
    double.always = behaviour
    monkeypatch.setenv("WINNOW_GENERATION_URL", double.url)
    monkeypatch.setenv("WINNOW_GENERATION_MODEL", "double")
    (finding,) = await provider_findings()
    assert finding.ok is ok
    assert said in finding.detail


def test_a_url_wants_the_name_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model is one of this machine, so a URL alone is refused by the name of the setting."""
    monkeypatch.setenv("WINNOW_GENERATION_URL", "http://127.0.0.1:9/v1")
    with ExitStack() as models, pytest.raises(InvalidSetting, match="WINNOW_GENERATION_MODEL"):
        open_engine(ExtractorSettings.read(), models)
