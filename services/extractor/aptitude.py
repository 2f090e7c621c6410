"""What a language model can be trusted with, measured on notes written for it; kept by the model's digest."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.common.errors import WinnowError
from services.extractor import answers, prompting
from services.extractor.combined import (
    HEADLINE_TOKENS_MAX,
    Capability,
    Spent,
    headline_prompt,
    lean_to_chatter,
    stands,
)
from services.extractor.extraction import AtomType, Model, WindowMessage

TELLS_MIN: Final = 0.8
HEADLINES_MIN: Final = 0.6
KNOWLEDGE_NOTES: Final[Mapping[str, AtomType]] = {
    "lena: where are the dashboards of the payment service kept, and who may change them?": "question",
    "«where are the dashboards kept?» oleg: in the folder grafana of the repository infra, ask ops for it": "insight",
    "oleg: the login page answers 502 whenever more than two pods restart at once": "problem",
    "lena: from Monday on we deploy on Tuesdays and Thursdays only, agreed with support": "decision",
    "Олена: після оновлення драйвера принтер етикеток друкує порожні сторінки, версія 7.3": "problem",
    "«як скинути кеш збірки?» Остап: видали теку build/.cache і запусти збірку з прапорцем --fresh": "solution",
}
CHATTER_NOTES: Final = (
    "oleg: haha yes, Mondays are like that, I need another coffee first",
    "lena: no idea, I was not there, sounds odd though",
    "«who is coming to the party?» oleg: I will see, maybe a bit later",
    "lena: ok let me try that, one moment, phone is ringing",
    "Остап: оце так, ніколи б не подумав, ну побачимо",
    "Олена: вибачте, мене щойно відволікли, про що мова?",
)


@dataclass(frozen=True, slots=True)
class Aptitude:
    """How a model did: `tells` is the chance that it ranks chatter above knowledge (0.5 is a coin's).

    `headlines` is the share of valid, grounded headlines, `invalid` that of answers in no valid shape.
    """

    tells: float
    headlines: float
    invalid: float
    tokens_per_second: float

    @property
    def capability(self) -> Capability:
        """What the model may decide; whoever cannot tell knowledge from chatter is not trusted to name it."""
        if self.tells < TELLS_MIN:
            return "none"
        return "generate" if self.headlines >= HEADLINES_MIN else "choices"


async def measure(
    model: Model, progress: Callable[[int, int], None] = lambda done, total: None
) -> Aptitude:
    """Let a model judge and name the notes of the examination; raises what its calls raise.

    `progress` is told of each call that is done, of how many.
    """
    spent, began = Spent(), time.perf_counter()
    # One language after the other, so that what a prompt begins with is computed once.
    notes = sorted({*CHATTER_NOTES, *KNOWLEDGE_NOTES}, key=lambda note: (_language(note), note))
    total, leaning = len(notes) + len(KNOWLEDGE_NOTES), dict[str, float]()
    for note in notes:
        leaning[note] = await lean_to_chatter(model, note, _language(note), spent)
        progress(len(leaning), total)
    pairs = [
        (leaning[high] > leaning[low]) + 0.5 * (leaning[high] == leaning[low])
        for high in CHATTER_NOTES
        for low in KNOWLEDGE_NOTES
    ]
    outcomes: list[str] = []
    for note, kind in KNOWLEDGE_NOTES.items():
        outcomes.append(await _headline(model, note, kind, spent))
        progress(len(notes) + len(outcomes), total)
    seconds = time.perf_counter() - began
    return Aptitude(
        round(sum(pairs) / len(pairs), 3),
        round(outcomes.count("good") / len(outcomes), 3),
        round(outcomes.count("invalid") / len(outcomes), 3),
        round((spent.tokens_in + spent.tokens_out) / seconds, 1),
    )


def _language(note: str) -> prompting.Language:
    return prompting.dominant_language([note])


async def _headline(model: Model, note: str, kind: AtomType, spent: Spent) -> str:
    """Whether a headline is `good`, `invalid`, or says what the note does not."""
    prompt = headline_prompt(note, kind)
    completion = await model.complete(prompt, answers.headline_schema(), HEADLINE_TOKENS_MAX)
    spent.tokens_in += completion.tokens_in
    spent.tokens_out += completion.tokens_out
    try:
        headline = answers.headline_of(completion.text)
    except answers.BadAnswer:
        return "invalid"
    said = WindowMessage(1, "", note, datetime.min.replace(tzinfo=UTC))
    return "good" if stands(headline, [said]) else "bad"


class AptitudeNotes:
    """Measured aptitudes in a folder, by the digest of the model, and of the prompts and checks used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "aptitudes"

    def recall(self, digest: str) -> Aptitude | None:
        """What was measured of this very model, if anything; a file that cannot be read is none."""
        try:
            return Aptitude(**json.loads(self._path(digest).read_text("utf-8")))
        except (OSError, TypeError, ValueError):
            return None

    def remember(self, digest: str, aptitude: Aptitude) -> None:
        """Keep what was measured; WinnowError when the folder cannot be written."""
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(aptitude)), "utf-8")
        except OSError as error:
            raise WinnowError(f"{path}: cannot be written: {error.strerror}") from error

    def _path(self, digest: str) -> Path:
        how = f"{prompting.digest('headline', 'kind')}.{answers.CHECKS_VERSION}"
        return self._directory / f"{digest[:32]}-{how}.json"
