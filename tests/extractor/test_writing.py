"""The same said in other characters gives the same knowledge, and quotes stay as they are stored."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from services.evaluating import label_messages
from services.extractor import cues, mishaps, wording
from services.extractor.combined import stands
from services.extractor.comparing import Claim
from services.extractor.evaluation import read_export
from services.extractor.extraction import Extraction, Window, WindowMessage
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.grounding import is_grounded
from services.extractor.polarity import contradicts
from tests.extractor.conversation import START, talk
from tests.extractor.models import PlannedModel, answer, atom

ROOT = Path(__file__).parents[2]
CHATS = [
    *sorted((ROOT / "benchmarks" / "curated").rglob("*.result.json")),
    *sorted((ROOT / "benchmarks" / "importance").glob("english-*.result.json")),
    ROOT / "services" / "cli" / "demo" / "chat.json",
]
WITHIN = re.compile(r"(?<=\w)['’ʼ](?=\w)")
WAYS = [
    pytest.param(partial(unicodedata.normalize, "NFD"), id="marks apart"),
    pytest.param(partial(WITHIN.sub, "'"), id="straight"),
    pytest.param(partial(WITHIN.sub, "’"), id="U+2019"),
    pytest.param(partial(WITHIN.sub, "ʼ"), id="U+02BC"),
]
MESSAGES = 40
Write = Callable[[str], str]


def windows(chat: Path, write: Write = str) -> list[Window]:
    """A chat in windows, as its people would have written it; what it is worth is not asked here."""
    said = list(read_export(chat, label_messages).values())
    written = [replace(each, author=write(each.author), text=write(each.text)) for each in said]
    return [
        Window(tuple(written[start : start + MESSAGES]))
        for start in range(0, len(written), MESSAGES)
    ]


def plain(text: str) -> str:
    """A text in one way of writing."""
    return WITHIN.sub("'", unicodedata.normalize("NFC", text))


def known(extraction: Extraction) -> list[object]:
    """What an extraction says, whatever the characters."""
    return [
        *(
            (a.type, plain(a.title), plain(a.content), a.confidence, a.message_ids)
            for a in extraction.atoms
        ),
        *((plain(t.title), t.message_ids, t.atom_indices) for t in extraction.topics),
        *extraction.links,
    ]


def message(text: str) -> WindowMessage:
    """A message that says so."""
    return talk(f"ann: {text}").messages[0]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("chat", CHATS, ids=lambda chat: chat.name.partition(".")[0])
async def test_what_is_known_does_not_depend_on_how_letters_are_written(
    chat: Path, write: Write
) -> None:
    """Atoms, types, titles, topics and links are the same; each quote stands in the text as it was sent."""
    engine = GroundedEngine()
    for as_it_is, written in zip(windows(chat), windows(chat, write), strict=True):
        extraction = await engine.extract(written)
        assert known(extraction) == known(await engine.extract(as_it_is))
        assert all(is_grounded(each.evidence, written.messages) for each in extraction.atoms)


@pytest.mark.parametrize("write", WAYS)
async def test_who_says_it_is_known_in_any_characters(write: Write) -> None:
    """A content names its speakers as they are read; when it is compared they are found by their stored names."""
    window = talk(write("Дар'я Зайцева: сайт майстерні не приймає зайві файли"))
    (found,) = (await GroundedEngine().extract(window)).atoms
    claim = Claim(
        *(UUID(int=1), found.type, found.title, found.content, UUID(int=2), frozenset({1}), START),
        speakers=frozenset({window.messages[0].author}),
    )
    assert not (wording.read("Дар'я Зайцева").stems & wording.read(claim.own).stems)


@pytest.mark.parametrize("write", WAYS)
def test_a_denial_is_one_in_any_apostrophe(write: Write) -> None:
    """A headline that drops it is refused."""
    said = write("we don't deploy on Fridays")
    assert contradicts("We deploy on Fridays", [said])
    assert not stands("We deploy on Fridays", [message(said)])


@pytest.mark.parametrize("write", WAYS)
def test_a_headline_is_told_in_any_characters(write: Write) -> None:
    """A model composes letters and types the apostrophe that it has learnt; the message tells the same."""
    said = write("сайт майстерні не приймає зайві файли від Лук'яна, сім'я чекає")
    assert stands("Сайт майстерні не приймає зайві файли Лук'яна", [message(said)])


@pytest.mark.parametrize("write", WAYS)
async def test_a_model_reads_letters_in_one_and_is_quoted_as_it_is_stored(write: Write) -> None:
    """The prompt has the composed text, and the evidence the passage of the stored one."""
    window = talk(write("Дар'я: сайт майстерні не приймає зайві файли, збій щоразу"))
    quote = "Сайт майстерні не приймає зайві файли"
    item = atom(quote=quote, title=quote, content=f"{quote}, збій щоразу")
    model = PlannedModel([answer([item])])
    (found,) = (await GenerativeEngine(model, "planned").extract(window)).atoms
    assert is_grounded(found.evidence, window.messages)
    assert found.evidence[0].quote == write("сайт майстерні не приймає зайві файли")
    assert "сайт майстерні не приймає зайві файли" in str(model.asked[0])


@pytest.mark.parametrize(
    "done",
    [
        "перемотала котушку",
        "переставив датчик",
        "скинув лічильник",
        "долив оливи",
        "перевернули піддон",
        "долила масло",
        "перевернул поддон",
        "протёр линзу",
        "протерла оптику",
    ],
)
def test_what_was_done_by_hand_is_known(done: str) -> None:
    """Every word of the table is one that somebody writes."""
    assert mishaps.REPAIRED.search(done)
    assert cues.REMEDIED.search(done)
