"""Compiled scoring: the same scores bit by bit, and never those of sources that are no longer there."""

import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest import everyday, lexicon
from services.ingest.compiled import COMPILED, SOURCES, place_of, read_sources
from services.ingest.scoring import Conversation
from services.ingest.wording import TEXT_MAX, ScoredInput

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "services/cli/demo/chat.json"
WORDS = " ".join(
    words
    for module in (everyday, lexicon)
    for name, words in vars(module).items()
    if name.isupper()
).split()
ODDITIES = (
    "https://a.example/x www.b.example `code` foo_bar() x = {1} -- a/b/c 1.2.3 2026 ok) !!! ? * ! 👍 :) Ada: Боб, @ada "
    "|| [a] (b) <c> hahaha ахахаха sooooo дуууже п'ять ё é ß ﬁ İ \u0301 \u2028 \x1f \x00 日本 +"
).split(" ")
AUTHORS = ("Ada", "Боб", "ci-bot", "", "_", "bot x")

# Scores what it reads, one JSON list a line, by whichever code is imported there.
SCORER = """
import json, sys
from services.ingest import compiled
used = compiled.use()
from services.ingest import wording
assert sys.modules["services.ingest.wording"] is wording
from services.ingest import scoring
print(json.dumps([used, *(sys.modules[f"services.ingest.{name}"].__spec__.origin for name in compiled.COMPILED)]))
conversation = scoring.Conversation()
for line in sys.stdin:
    message, parent = json.loads(line)
    message = wording.ScoredInput(*message)
    print(json.dumps(conversation.score(message, parent and wording.ScoredInput(*parent))))
"""

pytestmark = pytest.mark.timeout(300)


def scored_by(root: Path, said: list[Any]) -> tuple[bool, list[str], list[Any]]:
    """Score in a new process with the sources of a folder: whether as machine code, of which files, and the scores."""
    lines = "".join(json.dumps(each) + "\n" for each in said)
    child = subprocess.run(
        [sys.executable, "-c", SCORER],
        input=lines,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
    )
    (used, *files), *scores = map(json.loads, child.stdout.splitlines())
    return used, files, scores


@pytest.fixture(scope="module", autouse=True)
def _machine_code() -> None:
    """Compile the sources as they are, unless `make setup` has."""
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("nothing is compiled without Python's headers")
    if not place_of(read_sources()).is_dir():
        subprocess.run([sys.executable, "-m", "tools.compile_scoring"], cwd=ROOT, check=True)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of what is compiled, and of what chooses."""
    package = tmp_path / "services" / "ingest"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    for name in ("__init__", "compiled", *SOURCES):
        shutil.copy(ROOT / f"services/ingest/{name}.py", package)
    return tmp_path


def made_up(dice: random.Random, count: int) -> Iterator[list[Any]]:
    """Messages of known words, odd ones and any characters, some replying to older ones."""
    for number in range(count):
        pieces = [
            *dice.choices(WORDS, k=dice.randint(0, 14)),
            *dice.choices(ODDITIES, k=dice.choice((0, 0, 1, 3))),
            *("".join(map(chr, dice.choices(range(32, 0x2600), k=5))) for _ in range(dice.randint(0, 2))),
        ]  # fmt: skip
        dice.shuffle(pieces)
        text = " ".join(pieces) * dice.choice((1, 1, 1, 1, 1, 1, 1, TEXT_MAX // 20))
        text = dice.choice((str.lower, str.upper, str.title, str))(text)
        reply = str(number - dice.randint(1, 15)) if dice.random() < 0.2 else ""
        author, is_bot = dice.choice(AUTHORS), dice.random() < 0.05
        yield [author, text, is_bot, str(number), reply]


def from_chat() -> Iterator[list[Any]]:
    """What is said in the chat of the demo."""
    for each in json.loads(DEMO.read_text("utf-8"))["messages"]:
        if isinstance(text := each["text"], list):
            text = "".join(part if isinstance(part, str) else part["text"] for part in text)
        reply = str(each.get("reply_to_message_id", ""))
        yield [each.get("from") or "", text, False, str(each["id"]), reply]


def test_scores_are_the_same_bit_by_bit() -> None:
    """Plain Python and machine code agree on thousands of made-up and real messages, replies among them."""
    dice = random.Random(5)
    messages = [*from_chat(), *made_up(dice, 4000)]
    said = [(each, dice.choice(messages) if each[4] else None) for each in messages]
    conversation = Conversation()
    plain = [
        conversation.score(ScoredInput(*each), parent and ScoredInput(*parent))
        for each, parent in said
    ]
    used, files, scores = scored_by(ROOT, said)
    assert (used, *files) == (True, *map(_library, COMPILED))
    # JSON keeps every bit of a float.
    assert scores == json.loads(json.dumps(plain))


def test_an_identical_copy_uses_it(copied: Path) -> None:
    """Machine code belongs to sources, not to where they lie."""
    used, files, _ = scored_by(copied, [])
    assert (used, *files) == (True, *map(_library, COMPILED))


def _library(name: str) -> str:
    [found] = place_of(read_sources()).rglob(f"{name}.*")
    return str(found)


@pytest.mark.parametrize("name", SOURCES)
def test_changed_sources_are_not_served_by_older_machine_code(name: str, copied: Path) -> None:
    """Whichever source has changed by however little, what runs is what is written."""
    source = copied / f"services/ingest/{name}.py"
    source.write_text(source.read_text("utf-8") + "\n", "utf-8")
    used, files, _ = scored_by(copied, [])
    assert (used, *files) == (
        False,
        *(str(copied / f"services/ingest/{each}.py") for each in COMPILED),
    )


def test_a_changed_rule_counts_at_once(copied: Path) -> None:
    """A new rule in a source scores by itself, though its older machine code lies there."""
    source = copied / "services/ingest/features.py"
    changed = source.read_text("utf-8").replace(
        'features["one_word" if size', 'features["alarm" if size'
    )
    source.write_text(changed, "utf-8")
    word = (["Ada", "Kubernetes", False, "1", ""], None)
    factors = dict(scored_by(copied, [word])[2][0][2])
    assert "alarm" in factors
    assert "one_word" not in factors


@pytest.mark.parametrize("damaged", ["*.*", "winnow_scoring__mypyc.*", "wording.*", "scoring.*"])
def test_damaged_machine_code_is_left_alone(damaged: str, copied: Path) -> None:
    """Libraries of which one cannot be loaded cost speed, not the service; nothing is scored by the rest of them."""
    source = copied / "services/ingest/weights.py"
    source.write_text(source.read_text("utf-8") + "\n", "utf-8")
    sources = read_sources() | {"weights": source.read_bytes()}
    place = place_of(sources)
    shutil.copytree(place_of(read_sources()), place)
    try:
        for library in place.rglob(damaged):
            library.write_bytes(b"no library")
        used, files, _ = scored_by(copied, [])
    finally:
        shutil.rmtree(place)
    assert (used, {Path(file).suffix for file in files}) == (False, {".py"})


def test_a_service_says_which_it_runs() -> None:
    """`winnow run ingest` takes the machine code before anything has imported the sources, and logs so."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    command = [sys.executable, "-m", "services", "run", "ingest"]
    child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "scoring is compiled" in child.stderr
    assert "WINNOW_DATABASE_URL" in child.stderr
