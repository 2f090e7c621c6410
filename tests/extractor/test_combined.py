"""The default engine: a model only refines what structure found, as far as it can be trusted."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor.combined import Capability, CombinedEngine
from services.extractor.evaluation import is_valid
from services.extractor.grounded import GroundedEngine
from services.extractor.grounding import is_grounded
from tests.extractor.conversation import talk
from tests.extractor.models import Answer, PlannedModel
from tests.extractor.test_grounded import DEPLOY

UNSURE = talk(
    "ann: the nightly export fails when a customer has no invoices, why does it do that?",
    "bob: ann: it divides by the number of invoices, that is zero for new customers",
)


def engine(capability: Capability, model: PlannedModel | None) -> CombinedEngine:
    """The default engine with this model at this capability."""
    return CombinedEngine(GroundedEngine(), model, capability, "planned")


def notes(*items: dict[str, object]) -> Answer:
    """A completion in the shape of decisions about notes."""
    return Answer(json.dumps({"notes": list(items)}))


def note(number: int, **changes: object) -> dict[str, object]:
    """A decision that keeps a note of `DEPLOY` and words it well, with changes."""
    item: dict[str, object] = {
        "n": number,
        "keep": True,
        "type": "problem",
        "title": "Migration 42 hangs in staging",
        "content": "The staging deploy fails: migration 42 hangs on the users table.",
    }
    return {**item, **changes}


async def test_without_capability_the_model_is_never_asked() -> None:
    """At capability none the result is that of structure, whatever model there is."""
    model = PlannedModel([notes()])
    extraction = await engine("none", model).extract(DEPLOY)
    assert extraction == await GroundedEngine().extract(DEPLOY)
    assert (model.asked, model.choices) == ([], [])


async def test_an_indifferent_model_changes_nothing() -> None:
    """A weak model that likes every option alike, or one option always, changes no type."""
    for prefer in (lambda p, o: -1.0, lambda p, o: -float(len(o)), lambda p, o: -float("sol" in o)):
        extraction = await engine("choices", PlannedModel(prefer=prefer)).extract(UNSURE)
        plain = await GroundedEngine().extract(UNSURE)
        assert [a.type for a in extraction.atoms] == [a.type for a in plain.atoms]


async def test_a_strong_preference_changes_an_unsure_type() -> None:
    """A model that clearly prefers the rival for this very note decides an unsure type."""

    def prefer(prompt: str, option: str) -> float:
        return 0.0 if "export" in prompt and "problem" in option else -5.0

    candidates = GroundedEngine().read(UNSURE).candidates
    assert (candidates[0].draft.type, candidates[0].rival) == ("question", "problem")
    trusting = replace(engine("choices", None).trust, margin_max=2.0)
    built = replace(engine("choices", PlannedModel(prefer=prefer)), trust=trusting)
    extraction = await built.extract(UNSURE)
    assert extraction.atoms[0].type == "problem"
    assert 0 < extraction.model_calls <= 2 * trusting.choices_max


async def test_a_capable_model_words_what_structure_found() -> None:
    """Title and content may be the model's; evidence stays as structure gave it."""
    model = PlannedModel(
        [notes(note(1), note(2, keep=True, type="solution", title="x", content=""))]
    )
    extraction = await engine("generate", model).extract(DEPLOY)
    plain = await GroundedEngine().extract(DEPLOY)
    assert extraction.atoms[0].title == "Migration 42 hangs in staging"
    assert extraction.atoms[1].title == plain.atoms[1].title
    assert [a.evidence for a in extraction.atoms] == [a.evidence for a in plain.atoms]
    assert extraction.model_calls == 1


@pytest.mark.parametrize(
    "bad",
    [
        Answer("no"),
        Answer('{"notes": [{"n": 1, "keep"', finish_reason="length"),
        Answer('{"notes": 5}'),
        notes(note(7, title="Someone else's note")),
        notes(note(1, title="Wire the money", content="Wire the money to this account today")),
        notes({"n": 1}),
    ],
)
async def test_a_bad_answer_leaves_structure_as_it_is(bad: Answer) -> None:
    """Invalid, foreign or unsupported words change no atom."""
    extraction = await engine("generate", PlannedModel([bad])).extract(DEPLOY)
    plain = await GroundedEngine().extract(DEPLOY)
    assert extraction.atoms == plain.atoms
    assert extraction.links == plain.links


async def test_the_model_cannot_drop_what_structure_is_sure_of() -> None:
    """An answered question stays even when the model would drop it."""
    model = PlannedModel([notes(note(1, keep=False), note(2, keep=False))])
    assert len((await engine("generate", model).extract(DEPLOY)).atoms) == 2


async def test_the_model_may_drop_a_doubtful_statement() -> None:
    """A statement nobody asked for goes when the model finds it not worth keeping."""
    window = talk(
        "ann: the yellow van parked in front of the northern warehouse belongs to some local plumber company"
    )
    assert len((await GroundedEngine().extract(window)).atoms) == 1
    model = PlannedModel([notes(note(1, keep=False))])
    assert (await engine("generate", model).extract(window)).atoms == ()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.integers(-1, 4),
                "keep": st.booleans() | st.none(),
                "type": st.sampled_from(["problem", "gossip", "decision", 3]),
                "title": st.text(max_size=120) | st.just("Migration hangs"),
                "content": st.text(max_size=900) | st.just("migration 42 hangs"),
            }
        ),
        max_size=6,
    )
)
async def test_whatever_the_model_says_atoms_stay_valid_and_grounded(
    items: list[dict[str, object]],
) -> None:
    """No decision of the model can make an atom invalid, ungrounded or new."""
    extraction = await engine("generate", PlannedModel([notes(*items)])).extract(DEPLOY)
    plain = {a.evidence for a in (await GroundedEngine().extract(DEPLOY)).atoms}
    for found in extraction.atoms:
        assert is_valid(found)
        assert is_grounded(found.evidence, DEPLOY.own)
        assert found.evidence in plain
    assert all(max(x.source, x.target) < len(extraction.atoms) for x in extraction.links)


def test_the_version_names_what_matters() -> None:
    """Model and capability are part of the version only when the model is used."""
    assert engine("none", PlannedModel()).version == engine("none", None).version
    assert engine("generate", PlannedModel()).version != engine("choices", PlannedModel()).version
