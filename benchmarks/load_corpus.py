"""The chat that benchmarks load: a real one from an export, or one made up."""

import lzma
import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cli.importers import ImportedMessage
from services.cli.importers.telegram import TelegramExport
from services.cli.importing import message_input
from winnow.ingest.v1 import ingest_pb2 as pb

LOAD_CORPUS = "ubuntu.result.json.xz"


def read_corpus(path: Path, most: int) -> list[pb.MessageInput]:
    """Read a Telegram export, packed or not, or the load corpus of a folder."""
    path = path / LOAD_CORPUS if path.is_dir() else path
    with TemporaryDirectory() as folder:
        plain = path
        if path.suffix == ".xz":
            plain = Path(folder) / "result.json"
            with lzma.open(path) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        found = (item for item in TelegramExport(plain) if isinstance(item, ImportedMessage))
        return [message_input(item) for item, _ in zip(found, range(most), strict=False)]


def make_corpus(count: int) -> list[pb.MessageInput]:
    """Make up a chat: words as frequent as in a language, a few dozen authors, questions, links and replies."""
    dice = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkjqxzабвгдежзиклмнопрсту"
    words = ["".join(dice.choices(letters, k=dice.randint(1, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [_made_up(number, dice, words, weights) for number in range(count)]


def _made_up(
    number: int, dice: random.Random, words: list[str], weights: list[float]
) -> pb.MessageInput:
    text = " ".join(dice.choices(words, weights, k=1 + int(dice.expovariate(1 / 11))))
    text += dice.choice(["", "", "", ".", "?", " :)", f" https://example.org/{number}"])
    message = pb.MessageInput(external_id=str(number), text=text)
    author = dice.randint(1, 40)
    message.author.external_id, message.author.name = f"user{author}", f"Author {author}"
    message.sent_at.seconds = 1_600_000_000 + number * 7
    if number and dice.random() < 0.1:
        message.reply_to_external_id = str(max(0, number - dice.randint(1, 30)))
    return message
