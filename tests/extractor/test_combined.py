"""The default engine: a model judges or names a few notes, each alone, as far as it can be trusted."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import ItemFailed, ModelUnavailable
from services.extractor import prompting
from services.extractor.combined import CUT, Capability, CombinedEngine, stands
from services.extractor.evaluation import is_valid
from services.extractor.extraction import ATOM_TYPES
from services.extractor.grounded import GroundedEngine
from services.extractor.grounding import is_grounded
from tests.extractor.conversation import talk
from tests.extractor.models import Answer, PlannedModel
from tests.extractor.test_grounded import DEPLOY

LONG = talk(
    "ann: the nightly export of all invoices fails for every customer who has not had a single "
    "invoice in the current year, it says division by zero in report.py",
    "bob: ann: right",
    "bob: ann: it divides by their number, pass the flag skip_empty to the export job",
)
ANSWERED = talk(
    "ann: how do I make the nightly export leave out customers without invoices?",
    "bob: ann: you have to pass the flag skip_empty to the export job and to the report job whenever a customer "
    "has not had one single invoice in the current year",
    "eve: the label printer of the northern warehouse prints nothing but empty pages for every single parcel "
    "since somebody has put the new driver for the scanner on that machine",
)
DOUBTFUL = talk(
    "ann: the yellow van parked in front of the northern warehouse belongs to some plumber company"
)
CHATTER_IS = {"chatter": 0.0, "knowledge": -9.0}


def engine(capability: Capability, model: PlannedModel | None) -> CombinedEngine:
    """The default engine with this model at this capability."""
    return CombinedEngine(GroundedEngine(), model, capability, "planned")


def headline(text: object) -> Answer:
    """A completion in the shape of a headline."""
    return Answer(json.dumps({"headline": text}))


def dislikes(word: str) -> PlannedModel:
    """A model that finds notes with this word to be chatter."""

    def prefer(prompt: str, option: str) -> float:
        note = prompt.rpartition("Note: ")[2]
        return CHATTER_IS[option.strip()] if word in note else -0.7

    return PlannedModel(prefer=prefer)


async def test_without_capability_the_model_is_never_asked() -> None:
    """At capability none the result is that of structure, whatever model there is."""
    model = PlannedModel([headline("x")])
    extraction = await engine("none", model).extract(DEPLOY)
    assert extraction == await GroundedEngine().extract(DEPLOY)
    assert (model.asked, model.choices) == ([], [])


async def test_a_model_with_one_opinion_of_everything_changes_nothing() -> None:
    """A weak model that likes every option alike, or one option always, drops nothing."""
    for prefer in (lambda p, o: -1.0, lambda p, o: -float(len(o)), lambda p, o: -9.0 * ("kn" in o)):
        extraction = await engine("choices", PlannedModel(prefer=prefer)).extract(DOUBTFUL)
        assert extraction.atoms == (await GroundedEngine().extract(DOUBTFUL)).atoms


async def test_the_model_may_drop_a_doubtful_note() -> None:
    """A statement nobody asked for goes when the model finds it to be chatter, unlike an empty note."""
    assert len((await GroundedEngine().extract(DOUBTFUL)).atoms) == 1
    assert (await engine("choices", dislikes("van")).extract(DOUBTFUL)).atoms == ()


async def test_the_model_cannot_drop_what_structure_is_sure_of() -> None:
    """An answered question stays even when the model finds it to be chatter."""
    extraction = await engine("choices", dislikes("migration")).extract(DEPLOY)
    assert extraction.atoms == (await GroundedEngine().extract(DEPLOY)).atoms


async def test_a_capable_model_names_what_was_cut_off() -> None:
    """A title that had to be cut off becomes the model's headline; all else stays as structure gave it."""
    model = PlannedModel([headline("nightly export fails for customers with no single invoice.")])
    extraction = await engine("generate", model).extract(LONG)
    plain = await GroundedEngine().extract(LONG)
    assert plain.atoms[0].title.endswith("…")
    assert extraction.atoms[0].title == "Nightly export fails for customers with no single invoice"
    assert [(a.type, a.content, a.evidence) for a in extraction.atoms] == [
        (a.type, a.content, a.evidence) for a in plain.atoms
    ]
    assert (extraction.model_calls, extraction.tokens_in, extraction.tokens_out) == (1, 100, 20)


async def test_a_good_title_is_left_alone() -> None:
    """What people's own words name well is not sent to the model."""
    model = PlannedModel([headline("Migration 42 hangs on staging")])
    extraction = await engine("generate", model).extract(DEPLOY)
    asked = "\n".join(chat[-1]["content"] for chat in model.asked)
    poor = [a for a in (await GroundedEngine().extract(DEPLOY)).atoms if CUT in a.title]
    assert extraction.model_calls == len(model.asked) == len(poor) <= 1
    assert "ben" not in asked


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Answer("no"), "no_answer"),
        (Answer('{"headline": "Export fa', finish_reason="length"), "no_answer"),
        (Answer("[]"), "no_answer"),
        (Answer("{}"), "no_answer"),
        (headline(7), "no_answer"),
        (headline(" "), "no_answer"),
        (headline("export " * 40), "no_answer"),
        (Answer("[" * 100_000), "no_answer"),
        (Answer('{"headline": "' + "x" * 10_000_000 + '"}'), "no_answer"),
        (headline("Wire the money to this account today"), "unsupported"),
        (headline("Export of all invoices fails, call +380441234567"), "unsupported"),
        (headline("Export of all invoices fails, see https://evil.example/x"), "unsupported"),
        (headline("磁盘已满，导出失败"), "unsupported"),
        (headline("Експорт рахунків падає для клієнтів"), "unsupported"),
        (headline("it fails"), "unsupported"),
        (headline("Nightly export of all invoices fails for every thumbnail"), "unsupported"),
    ],
)
async def test_a_bad_answer_leaves_structure_as_it_is(bad: Answer, reason: str) -> None:
    """Invalid, foreign, unsupported or empty words change no atom, and are counted."""
    extraction = await engine("generate", PlannedModel([bad])).extract(LONG)
    plain = await GroundedEngine().extract(LONG)
    assert (extraction.atoms, extraction.links) == (plain.atoms, plain.links)
    assert extraction.rejected == {reason: 1}


async def test_a_call_that_fails_on_its_note_costs_the_note_nothing() -> None:
    """An answer too long or in no known shape leaves the window as structure has it; an outage is raised."""

    class Failing(PlannedModel):
        error: Exception = ItemFailed("answer_too_long", "10 MB")

        async def complete(self, *arguments: object) -> Answer:
            raise self.error

    model = Failing()
    extraction = await engine("generate", model).extract(LONG)
    assert extraction.atoms == (await GroundedEngine().extract(LONG)).atoms
    assert extraction.rejected == {"no_answer": 1}
    model.error = ModelUnavailable("away")
    with pytest.raises(ModelUnavailable):
        await engine("generate", model).extract(LONG)


@pytest.mark.parametrize("capability", ["choices", "generate"])
async def test_calls_are_bounded_by_messages(capability: Capability) -> None:
    """However many notes need the model, it is asked at most once in ten messages, and once in a few."""
    brief = "hi! does anybody know why the gadget{n} of hall{n} is warm?"
    long = brief.replace(
        "is warm", "turns so warm as soon as somebody opens the door{n} of the yard"
    )
    said = brief if capability == "choices" else long
    lines = [f"p{n}: {said.format(n=n)}" for n in range(30)]
    model = PlannedModel([headline("x")], prefer=lambda prompt, option: -1.0)
    extraction = await engine(capability, model).extract(talk(*lines))
    assert len(extraction.atoms) == 30
    assert len(model.asked) + len(model.choices) == 3 + (capability == "choices")
    assert extraction.model_calls == len(model.asked) + len(model.choices)
    few = PlannedModel([headline("x")], prefer=lambda prompt, option: -1.0)
    await engine(capability, few).extract(talk(*lines[:3]))
    assert len(few.asked) + len(few.choices) == 1 + (capability == "choices")


async def test_the_model_sees_one_note_at_a_time() -> None:
    """No prompt holds the words of two notes, so none can speak about another."""
    words = ["zinc", "amber", "cobalt"]
    lines = [
        f"p{n}: hi! does anybody know why the {word} cabinet of the {word} hall needs its key turned twice "
        f"before somebody opens the {word} drawer?"
        for n, word in enumerate(words)
    ]
    model = PlannedModel([headline("x")])
    await engine("generate", model).extract(talk(*lines, *["q: ok"] * 30))
    assert len(model.asked) == 3
    for chat in model.asked:
        told = " ".join(turn["content"] for turn in chat)
        assert sum(word in told for word in words) == 1


async def test_a_question_stays_a_question() -> None:
    """Its headline ends with a question mark, whether or not the model wrote one; another's gets none."""
    ask = talk(
        "ann: does anybody know which of the two keys of the northern storage room opens the small door "
        "behind the shelf with the yellow boxes, and who has it this week?"
    )
    for said in ("Key for the small door of the storage room", "Which key opens the small door?"):
        extraction = await engine("generate", PlannedModel([headline(said)])).extract(ask)
        assert extraction.atoms[0].type == "question"
        assert extraction.atoms[0].title == said.removesuffix("?") + "?"


async def test_the_model_is_told_the_kind_of_a_note_after_examples() -> None:
    """The last turn is the note with its kind; before it stand notes and headlines of the same form."""
    model = PlannedModel([headline("x")])
    await engine("generate", model).extract(LONG)
    first, *turns, note = model.asked[0]
    assert first["role"] == "system"
    assert note["content"].startswith("[problem] ann: the nightly export")
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    assert turns
    assert all("headline" in json.loads(turn["content"]) for turn in turns[1::2])


@pytest.mark.parametrize("language", ["en", "uk", "ru"])
def test_no_example_stands_for_a_note(language: prompting.Language) -> None:
    """Examples are of known types and pass the checks themselves; copied for another note they are refused."""
    _, *examples = prompting.blocks("headline", language)
    pairs = [example.split("\n") for example in examples]
    assert len(pairs) >= 6
    for told, said in pairs:
        kind, _, note = told.removeprefix("[").partition("] ")
        assert kind in ATOM_TYPES
        assert stands(said, talk(note).own)
        assert not stands(said, LONG.own)


async def test_what_nobody_asked_for_is_named_before_answers() -> None:
    """Where the budget is one call, a later cut title goes before that of an answer."""
    plain = await GroundedEngine().extract(ANSWERED)
    assert [CUT in found.title for found in plain.atoms] == [False, True, True]
    model = PlannedModel([headline("x")])
    await engine("generate", model).extract(ANSWERED)
    (chat,) = model.asked
    assert chat[-1]["content"].startswith("[problem] eve: ")


@settings(deadline=None)
@given(st.text(max_size=120) | st.none() | st.integers() | st.just("Export of invoices fails"))
async def test_whatever_the_model_says_atoms_stay_valid_and_grounded(said: object) -> None:
    """No answer of the model can make an atom invalid, ungrounded or new."""
    extraction = await engine("generate", PlannedModel([headline(said)])).extract(LONG)
    plain = {a.evidence for a in (await GroundedEngine().extract(LONG)).atoms}
    assert {a.evidence for a in extraction.atoms} == plain
    for found in extraction.atoms:
        assert is_valid(found)
        assert is_grounded(found.evidence, LONG.own)


def test_the_version_names_what_matters() -> None:
    """Model and capability are part of the version only when the model is used."""
    assert engine("none", PlannedModel()).version == engine("none", None).version
    assert engine("generate", PlannedModel()).version != engine("choices", PlannedModel()).version
