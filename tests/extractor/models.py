"""Models that answer by plan: seams for engines, not stand-ins for llama.cpp."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One planned completion."""

    text: str
    tokens_in: int = 100
    tokens_out: int = 20
    finish_reason: str = "stop"


@dataclass
class PlannedModel:
    """Gives its answers in turn and remembers what it was asked; `prefer` scores options."""

    answers: list[Answer] = field(default_factory=list)
    prefer: Callable[[str, str], float] = lambda prompt, option: -1.0
    asked: list[list[dict[str, str]]] = field(default_factory=list)
    schemas: list[dict[str, Any] | None] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Answer:
        """The next planned answer, the last one again when the plan is over."""
        self.asked.append(messages)
        self.schemas.append(schema)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]

    def count_tokens(self, prompt: str) -> int:
        """One a word."""
        return len(prompt.split())

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """The preference for each option."""
        self.choices.append(prompt)
        return [self.prefer(prompt, option) for option in options]


def answer(atoms: Sequence[object], topics: Sequence[object] = ()) -> Answer:
    """A completion in the shape of an extraction."""
    return Answer(json.dumps({"atoms": list(atoms), "topics": list(topics)}))


def atom(**changes: object) -> dict[str, object]:
    """An item that stands up against the conversation `DEPLOY` of the tests, with changes."""
    item: dict[str, object] = {
        "ids": [1],
        "quote": "migration 42 hangs on the users table",
        "type": "problem",
        "title": "Migration 42 hangs on the users table",
        "content": "The staging deploy fails because migration 42 hangs on the users table.",
    }
    return {**item, **changes}
