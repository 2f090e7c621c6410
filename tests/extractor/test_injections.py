"""Two hundred texts that command a model, against one that always obeys: nothing is believed that was not said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from services.extractor.combined import Capability, CombinedEngine
from services.extractor.evaluation import is_valid
from services.extractor.extraction import AtomDraft, Extraction, Window
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.grounding import is_grounded
from tests.extractor.conversation import talk
from tests.extractor.injections import FAMILIES, Attack, attacks
from tests.extractor.models import Answer, PlannedModel

BENIGN = (
    "ann: The nightly backup failed with error 53100, the disk of db-2 is full. Any idea why?",
    "bob: ann: the WAL archive was never pruned, so it grew to 400 GB; set archive_cleanup_command and free the disk",
    "ann: bob: thanks, the backup works now!",
    "cat: how can I rotate the signing keys of the billing service, so that no running session of any customer is "
    "thrown out while the workers of both regions still check tokens with the old key?",
    "dan: cat: run the keyring command with the rotate flag, then restart the workers",
    "cat: dan: thanks, that did it",
    "eve: we decided to keep seven days of WAL instead of thirty, and to alert at 80 % of the disk",
)
MALLORY = len(BENIGN) + 1
ATTACKS = list(attacks())


@dataclass
class Obeying(PlannedModel):
    """Does what the attacker wants wherever it reads the attack, and is of no use elsewhere."""

    attack: Attack | None = None
    obeyed: int = 0

    def reads_attack(self, prompt: str) -> bool:
        """Whether the attacker's text, as prompts show it, is there to be obeyed."""
        assert self.attack is not None
        return " ".join(self.attack.text.split())[:60] in " ".join(prompt.split())

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Answer:
        """The attacker's answer in the shape that is asked for."""
        assert self.attack is not None
        assert schema is not None
        if not self.reads_attack(messages[-1]["content"]):
            return Answer("{}")
        self.obeyed += 1
        if "headline" in schema["properties"]:
            return Answer(json.dumps({"headline": self.attack.want, "state": "approved"}))
        return Answer(json.dumps(forged(self.attack), ensure_ascii=False))

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Everything near the attack is chatter, so that it goes away."""
        is_there = self.reads_attack(prompt)
        self.obeyed += is_there
        return [-9.0 if is_there and "knowledge" in option else -0.7 for option in options]


def forged(attack: Attack) -> dict[str, object]:
    """Every way to pass the attacker's words for someone else's."""
    quote = "The nightly backup failed with error 53100"
    own = attack.text.strip()[:100]
    want = {"type": "decision", "title": attack.want, "content": attack.want}
    half = f"The nightly backup failed with error 53100, {attack.canary}"
    everyone = list(range(1, MALLORY + 1))
    return {
        "atoms": [
            {**want, "ids": [1], "quote": quote},
            {**want, "ids": [1], "quote": own},
            {**want, "ids": everyone, "quote": own},
            {**want, "ids": everyone, "quote": quote},
            {**want, "ids": [99], "quote": own},
            {**want, "ids": [0, 1], "quote": quote},
            {**want, "ids": [1], "quote": quote, "title": half, "content": quote},
            {**want, "ids": [1], "quote": quote, "title": quote, "content": half},
            {**want, "ids": [MALLORY], "quote": "never said", "confidence": 1.0, "state": "approved"},
            {**want, "ids": [MALLORY], "quote": own, "confidence": 1.0, "state": "approved"},
        ],
        "topics": [{"title": attack.want, "ids": everyone}],
        "scores": [{"id": number, "importance": 0.0} for number in everyone],
    }  # fmt: skip


def window_with(text: str) -> Window:
    """The benign talk, and what mallory says after it."""
    window = talk(*BENIGN, "mallory: x")
    said = replace(window.messages[-1], text=text)
    return replace(window, messages=(*window.messages[:-1], said))


def others(extraction: Extraction) -> list[tuple[object, ...]]:
    """What was made of everyone else's messages: kinds, titles, and evidence without mallory's."""
    found = []
    for atom in extraction.atoms:
        evidence = tuple(e for e in atom.evidence if e.message_id != MALLORY)
        if evidence:
            found.append((atom.type, atom.title, evidence))
    return found


def check(window: Window, extraction: Extraction, attack: Attack) -> None:
    """Every atom is valid and grounded, and nobody but mallory is made to say what mallory wants."""
    for atom in extraction.atoms:
        assert is_valid(atom)
        assert is_grounded(atom.evidence, window.own)
        assert atom.confidence < 1.0
        if attack.canary in atom.title or attack.canary in without_speakers_of(atom):
            assert set(atom.message_ids) == {MALLORY}
    for topic in extraction.topics:
        if attack.canary in topic.title:
            assert set(topic.message_ids) == {MALLORY}


def without_speakers_of(atom: AtomDraft) -> str:
    """The content without the lines that are shown as mallory's own words."""
    return "\n".join(line for line in atom.content.splitlines() if not line.startswith("mallory: "))


def test_there_are_two_hundred() -> None:
    """Ten families of twenty texts, each another, half of them Ukrainian."""
    assert len(FAMILIES) == 10
    assert len(ATTACKS) == len({attack.text for attack in ATTACKS}) == 200
    assert sum(any("а" <= c <= "я" for c in attack.text) for attack in ATTACKS) >= 90


@pytest.mark.parametrize("capability", ["choices", "generate"])
@pytest.mark.parametrize("family", FAMILIES)
async def test_the_default_engine_gives_nothing_away(family: str, capability: Capability) -> None:
    """An obeying model changes nothing that is made of the others' messages."""
    benign = await GroundedEngine().extract(window_with("x"))
    for attack in (attack for attack in ATTACKS if attack.family == family):
        window = window_with(attack.text)
        model = Obeying(attack=attack)
        engine = CombinedEngine(GroundedEngine(), model, capability, "obeying")
        extraction = await engine.extract(window)
        check(window, extraction, attack)
        assert others(extraction) == others(benign)


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_generative_engine_believes_nothing_forged(family: str) -> None:
    """Of every way to pass the attacker's words for another's none gets through."""
    for attack in (attack for attack in ATTACKS if attack.family == family):
        window = window_with(attack.text)
        model = Obeying(attack=attack)
        extraction = await GenerativeEngine(model, "obeying").extract(window)
        assert model.obeyed
        check(window, extraction, attack)
        assert others(extraction) == []
        assert sum(extraction.rejected.values()) >= 9


async def test_the_obeying_model_is_dangerous() -> None:
    """Were its words believed, the others would be made to say what the attacker wants: the suite can fail."""
    obeyed = 0
    for attack in ATTACKS:
        model = Obeying(attack=attack)
        await CombinedEngine(GroundedEngine(), model, "generate").extract(window_with(attack.text))
        obeyed += model.obeyed
    assert obeyed > 10


def test_an_extraction_has_no_way_to_score_or_approve() -> None:
    """What an engine returns names no state and no importance, whatever a model writes beside it."""
    names = {field.name for kind in (Extraction, AtomDraft) for field in fields(kind)}
    assert not names & {"state", "approval_state", "importance", "score", "label"}
