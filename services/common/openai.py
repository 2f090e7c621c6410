"""A language model behind an OpenAI-compatible URL: Ollama, vLLM, llama-server, OpenAI."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import Field, SecretStr

from services.common.endpoint import Endpoint, read_key
from services.common.errors import ItemFailed, Unanswered
from services.common.settings import OptionalPath, Settings

ANSWER_BYTES_MAX: Final = 1 << 20
CHOSEN_PROBABILITY: Final = 0.9
_CHOICE_TOKENS_MAX: Final = 32
_UNBOUNDED: Final = ("minLength", "maxLength")


class ProviderSettings(Settings):
    """Where a model is that does not run in this process; no URL means that it does."""

    generation_url: str = Field(default="", description="for example http://127.0.0.1:11434/v1")
    generation_api_key: SecretStr = SecretStr("")
    generation_api_key_file: OptionalPath = None
    generation_timeout_seconds: float = Field(default=120, gt=0)

    def api_key(self) -> str:
        """The key from the environment or from its file; empty if there is none."""
        return read_key(
            self.generation_api_key, self.generation_api_key_file, "WINNOW_GENERATION_API_KEY"
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text and the tokens that the provider counts for it; `finish_reason` is stop or length."""

    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int


class OpenAIModel:
    """A model of a provider. Every call has a connection, a deadline and a bound on its answer of its own.

    Raises ModelUnavailable when the provider is at fault and ItemFailed when what it was asked is.
    """

    def __init__(self, url: str, model: str, key: str = "", timeout_seconds: float = 120) -> None:
        self._model = model
        self._endpoint = Endpoint(
            url, "/chat/completions", key, timeout_seconds, ANSWER_BYTES_MAX, "WINNOW_GENERATION"
        )

    @classmethod
    def open(cls, settings: ProviderSettings, model: str) -> Self:
        """A model as the settings name its provider."""
        key, timeout = settings.api_key(), settings.generation_timeout_seconds
        return cls(settings.generation_url, model, key, timeout)

    def count_tokens(self, prompt: str) -> int:
        """About how many tokens a prompt takes: four bytes each, since only the provider knows."""
        return math.ceil(len(prompt.encode("utf-8", "replace")) / 4)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Completion:
        """Answer a chat, constrained to a JSON schema when one is given."""
        body = {
            "model": self._model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": False,
        }
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": _strict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return _completion(await self._endpoint.post(body))

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Log-probabilities from one constrained answer: the option it names is taken to be 90 % likely.

        An answer that names none leaves all options equal.
        """
        names = [option.strip() for option in options]
        if not names or not all(names):
            raise ValueError("options must be texts that are not empty")
        choice = {"type": "string", "enum": names}
        schema = {
            "type": "object",
            "properties": {"answer": choice},
            "required": ["answer"],
            "additionalProperties": False,
        }
        chat = [{"role": "user", "content": prompt}]
        completion = await self.complete(chat, schema, _CHOICE_TOKENS_MAX)
        return _log_probabilities(_chosen(completion.text, names), len(names))


def _strict(schema: Any) -> Any:
    """The schema without bounds on strings, which not every provider takes; answers are checked for them anyway."""
    if isinstance(schema, dict):
        return {name: _strict(value) for name, value in schema.items() if name not in _UNBOUNDED}
    return [_strict(value) for value in schema] if isinstance(schema, list) else schema


def _completion(answer: bytes) -> Completion:
    """Read an answer; ItemFailed if it is not one, Unanswered if it is a failure in the form of an answer."""
    try:
        parsed = json.loads(answer)
        if parsed.get("error") or parsed.get("choices") == []:
            raise Unanswered("the provider answered with an error, or without a choice")
        choice, usage = parsed["choices"][0], parsed.get("usage") or {}
        text, reason = choice["message"].get("content"), choice.get("finish_reason")
        spent = [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ItemFailed("bad_answer", "the provider's answer is no chat completion") from error
    finish = "length" if reason == "length" else "stop"
    return Completion(text if isinstance(text, str) else "", finish, *spent)


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 31 else 0


def _chosen(text: str, names: Sequence[str]) -> int | None:
    """The position of the option that an answer names."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    named = answer.get("answer") if isinstance(answer, dict) else None
    return names.index(named) if named in names else None


def _log_probabilities(chosen: int | None, count: int) -> list[float]:
    if chosen is None or count == 1:
        return [-math.log(count)] * count
    rest = math.log((1 - CHOSEN_PROBABILITY) / (count - 1))
    return [math.log(CHOSEN_PROBABILITY) if at == chosen else rest for at in range(count)]
