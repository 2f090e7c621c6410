"""Reads a chat's windows with every engine there is, beside one generative call per window of raw messages.

    python -m benchmarks.extraction [--data FOLDER] [--models NAME_OR_PATH ...] [--windows 2] [--tokens 300]
                                    [--threads 1]

The chats are the Telegram exports of a folder (also the variable DATA); without one, the chat of the demo.
Without a language model all windows are read, several times over. With one, a few windows spread over the
chats are read by the combination, by the generative engine behind the importance gate, and by one
generative call on all messages of the window, in turn, window by window. An answer has at most `--tokens`
tokens (also WINDOWS and TOKENS); one that is cut off or not valid has two more calls, one for each half, and
if they fail too the window counts as failed. Models are those of MODELS or of the command line, else the
default one. What the gate saves is counted in tokens of the prompts. The
last line is one JSON object.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.common.llama import GenerationModel
from services.common.models import ModelStore
from services.evaluating import label_messages
from services.extractor import prompting
from services.extractor.combined import Capability, CombinedEngine
from services.extractor.evaluation import read_export
from services.extractor.extraction import Engine, Extraction, Window, WindowMessage
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.service import ExtractorSettings, trusted_with
from services.extractor.windows import Arrival, cut, with_context

DEMO = Path(__file__).parents[1] / "services" / "cli" / "demo" / "chat.json"
ROUNDS = 3


@dataclass(slots=True)
class Spent:
    """What an engine took for some windows."""

    windows: int = 0
    messages: int = 0
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0
    atoms: int = 0
    failed: int = 0

    def add(self, window: Window, extraction: Extraction, seconds: float) -> None:
        """Count one reading."""
        self.windows += 1
        self.messages += len(window.own)
        self.seconds += seconds
        self.tokens_in += extraction.tokens_in
        self.tokens_out += extraction.tokens_out
        self.calls += extraction.model_calls
        self.atoms += len(extraction.atoms)
        self.failed += extraction.outcome in ("cut_off", "invalid")

    def figures(self) -> dict[str, float]:
        """Rates and averages."""
        tokens = self.tokens_in + self.tokens_out
        return {
            "windows_per_second": round(self.windows / self.seconds, 3),
            "messages_per_second": round(self.messages / self.seconds, 1),
            "tokens_per_second": round(tokens / self.seconds, 1),
            "tokens_per_window": round(tokens / self.windows, 1),
            "llm_calls_per_message": round(self.calls / self.messages, 4),
            "atoms_per_window": round(self.atoms / self.windows, 2),
            "windows": self.windows,
            "windows_failed": self.failed,
        }


# --- the windows


def chats(folder: Path | None) -> Iterator[list[WindowMessage]]:
    """The messages of each export, scored as ingest scores them."""
    if folder is None:
        yield list(read_export(DEMO, label_messages).values())
        return
    for path in sorted(folder.glob("*.result.json")):
        yield list(read_export(path, label_messages).values())


def windows_of(messages: Sequence[WindowMessage]) -> Iterator[Window]:
    """The windows that the extractor would cut of a chat that has ended, with their context."""
    limits = ExtractorSettings.read().limits()
    arrivals = [Arrival(m.id, "", m.sent_at, m.sent_at, m.label) for m in messages]
    known = {message.id: message for message in messages}
    before: list[WindowMessage] = []
    for run in cut(arrivals, datetime.now(UTC) + timedelta(days=1), limits).runs:
        own = tuple(known[each.message_id] for each in run.messages)
        yield with_context(own, before[-limits.seen_max :], known, limits)
        before += own


def raw(window: Window) -> Window:
    """The window as if nothing had been told apart from noise."""
    return replace(
        window, messages=tuple(replace(message, label="signal") for message in window.messages)
    )


# --- reading


async def read_timed(engine: Engine, window: Window, spent: Spent) -> None:
    """Read a window and count what it took."""
    started = time.perf_counter()
    extraction = await engine.extract(window)
    spent.add(window, extraction, time.perf_counter() - started)


async def without_model(windows: Iterable[Window]) -> Spent:
    """All windows by structure alone, several times over."""
    spent, engine = Spent(), GroundedEngine()
    for window in [*windows] * ROUNDS:
        await read_timed(engine, window, spent)
    return spent


async def with_model(
    windows: Sequence[Window],
    model: GenerationModel,
    name: str,
    capability: Capability,
    tokens_max: int,
) -> dict[str, Spent]:
    """The same windows by each way of using a model, in turn."""
    generative = GenerativeEngine(model, name, tokens_max=tokens_max)
    ways: dict[str, tuple[Engine, bool]] = {
        "combined": (CombinedEngine(GroundedEngine(), model, capability, name), False),
        "generative behind the gate": (generative, False),
        "one call on raw messages": (generative, True),
    }
    spent = {way: Spent() for way in ways}
    for number, window in enumerate(windows, 1):
        for way, (engine, is_raw) in ways.items():
            say(f"{name}: window {number} of {len(windows)}, {way} …")
            await read_timed(engine, raw(window) if is_raw else window, spent[way])
    return spent


def worth_reading(window: Window) -> list[WindowMessage]:
    """The messages of a window that are no noise."""
    return [message for message in window.own if message.label != "noise"]


def gate(windows: Iterable[Window], model: GenerationModel) -> dict[str, float]:
    """Tokens that prompts of raw messages would take, and those that the gate leaves."""
    before = after = 0
    for window in windows:
        before += prompt_tokens(window.own, model)
        worth = worth_reading(window)
        after += prompt_tokens(worth, model) if worth else 0
    return {
        "raw": before,
        "gated": after,
        "saved_share": round(1 - after / before, 4) if before else 0.0,
    }


def prompt_tokens(messages: Sequence[WindowMessage], model: GenerationModel) -> int:
    """Tokens of the generative prompt over these messages."""
    lines = [prompting.message_line(str(n), m, 1200) for n, m in enumerate(messages, 1)]
    language = prompting.dominant_language(message.text for message in messages)
    system = prompting.fill("extract", language, delimiter="=" * 20)
    return model.count_tokens(system + prompting.fenced(lines, "=" * 20))


# --- the run


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def spread(windows: Sequence[Window], count: int) -> list[Window]:
    """So many windows, evenly over all."""
    step = max(1, len(windows) // max(1, count))
    return list(windows[step // 2 :: step][:count])


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print a table of figures by engine."""
    names = ("windows_per_second", "messages_per_second", "tokens_per_second", "tokens_per_window",
             "llm_calls_per_message", "atoms_per_window", "windows", "windows_failed")  # fmt: skip
    width = max(map(len, rows))
    print(" " * width + "".join(f"{name.replace('_per_', '/'):>20}" for name in names))
    for title, row in rows.items():
        print(f"{title:<{width}}" + "".join(f"{row[name]:>20}" for name in names))


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All readings."""
    closed = [window for chat in chats(options.data) for window in windows_of(chat)]
    windows = [window for window in closed if worth_reading(window)]
    if not windows:
        raise SystemExit(f"{options.data}: no export there, or nothing in it to read")
    say(f"{len(windows)} windows; reading them without a model …")
    rows = {"no language model": (await without_model(windows)).figures()}
    report: dict[str, Any] = {"windows_of_noise": len(closed) - len(windows)}
    store, settings = ModelStore.open(), ExtractorSettings.read()
    for name in options.models:
        with ExitStack() as opened:
            resolved = store.resolve(name, "generation")
            model = GenerationModel.open(resolved.path, threads=options.threads)
            opened.callback(model.close)
            report["gate"] = gate(closed, model)
            chosen = spread(windows, options.windows)
            trusted = trusted_with(settings.model_copy(update={"generation_model": name}))
            spent = await with_model(chosen, model, resolved.name, trusted, options.tokens)
            rows |= {f"{resolved.name}, {way}": each.figures() for way, each in spent.items()}
    show(rows)
    return {**report, "engines": rows, **rows["no language model"]}


def main() -> None:
    """Read the command line, run, and print the last line."""
    given = argparse.ArgumentParser(
        "python -m benchmarks.extraction", description=__doc__.splitlines()[0]
    )
    folder = os.environ.get("DATA")
    given.add_argument("--data", type=Path, default=Path(folder) if folder else None)
    default = os.environ.get("MODELS", "").split() or [ExtractorSettings.read().generation_model]
    given.add_argument("--models", nargs="*", default=default)
    given.add_argument("--windows", type=int, default=int(os.environ.get("WINDOWS", "2")))
    given.add_argument("--tokens", type=int, default=int(os.environ.get("TOKENS", "300")))
    given.add_argument("--threads", type=int, default=1)
    print(json.dumps(asyncio.run(run(given.parse_args()))))


if __name__ == "__main__":
    main()
