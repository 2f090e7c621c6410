"""What is fuzzed in this process: a function a parser that takes a mutator and a folder, and fails by raising."""

import json
import random
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import protovalidate

from services.cli.importers import ImportedItem, ImportedMessage, ImportFailure
from services.cli.importers.discord import DiscordExport
from services.cli.importers.jsonlines import JsonLines
from services.cli.importers.slack import SlackExport
from services.cli.importers.telegram import TelegramExport
from services.cli.importing import message_input
from services.cli.telegram_bot.http import Refused, parse_head
from services.cli.telegram_bot.updates import Post, read_update
from services.cli.telegram_bot.webhook import read_body
from services.common import pages
from services.common.errors import InvalidPageToken
from services.ingest.reading import Rejected, read_message
from tests.fuzzing import samples
from tests.fuzzing.mutations import Mutator
from winnow.ingest.v1 import ingest_pb2 as pb

Fuzz = Callable[[Mutator, random.Random, Path], None]
_validator = protovalidate.Validator()


def _read_all(items: Iterable[ImportedItem]) -> None:
    """Read an import to its end or its failure; whatever it gives can be sent."""
    try:
        for item in items:
            if isinstance(item, ImportedMessage):
                message_input(item).SerializeToString()
    except ImportFailure:
        return


def _damaged(mutator: Mutator, dice: random.Random, sample: Any) -> bytes:
    """A sample with its shape changed, its bytes changed, or both."""
    kind = dice.random()
    value = sample if kind < 0.3 else mutator.value(sample)
    data = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutator.data(data) if kind < 0.5 else data


def telegram(mutator: Mutator, dice: random.Random, folder: Path) -> None:
    """Exports of one chat and of an account."""
    file = folder / "result.json"
    file.write_bytes(_damaged(mutator, dice, dice.choice(samples.TELEGRAM)))
    try:
        _read_all(TelegramExport(file))
    except ImportFailure:
        return


def discord(mutator: Mutator, dice: random.Random, folder: Path) -> None:
    """An export of DiscordChatExporter."""
    file = folder / "channel.json"
    file.write_bytes(_damaged(mutator, dice, samples.DISCORD))
    try:
        _read_all(DiscordExport(file))
    except ImportFailure:
        return


def jsonl(mutator: Mutator, dice: random.Random, folder: Path) -> None:
    """JSON Lines."""
    file = folder / "messages.jsonl"
    file.write_bytes(b"\n".join(_damaged(mutator, dice, line) for line in samples.JSON_LINES))
    try:
        _read_all(JsonLines(file))
    except ImportFailure:
        return


def slack(mutator: Mutator, dice: random.Random, folder: Path) -> None:
    """A zip of Slack, with damage in its files or in the zip itself."""
    file = folder / "slack.zip"
    damaged = dice.choice(list(samples.SLACK))
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in samples.SLACK.items():
            data = json.dumps(content).encode()
            packed.writestr(name, _damaged(mutator, dice, content) if name == damaged else data)
    if dice.random() < 0.2:
        file.write_bytes(mutator.data(file.read_bytes()))
    try:
        _read_all(SlackExport(file))
    except ImportFailure:
        return


def bot_update(mutator: Mutator, dice: random.Random, _: Path) -> None:
    """The body of a webhook, and the update in it."""
    try:
        update = read_body(_damaged(mutator, dice, dice.choice(samples.UPDATES)))
    except Refused:
        return
    item = read_update(update)
    if isinstance(item, Post):
        message_input(item.message).SerializeToString()


def http_head(mutator: Mutator, _: random.Random, __: Path) -> None:
    """The head of a webhook's request."""
    try:
        head = parse_head(mutator.data(samples.HTTP_HEAD))
        head.single("x-telegram-bot-api-secret-token")
        head.body_bytes(1 << 20)
    except Refused:
        return


def page_token(mutator: Mutator, dice: random.Random, _: Path) -> None:
    """A page token: forged, or one of another question."""
    request = pb.ListMessagesRequest(page_size=7)
    token = pages.encode(request, ["2024-05-01T12:00:00+00:00", samples.ID, 3, "text"])
    if dice.random() < 0.5:
        positions = mutator.value(["2024-05-01", samples.ID, 3, "x"])
        body = [
            json.loads(samples.unpacked(token))[0],
            *(positions if isinstance(positions, list) else []),
        ]
        token = samples.packed(json.dumps(body).encode())
    else:
        token = mutator.data(token.encode()).decode(errors="replace")
    request.page_token = token
    try:
        position = pages.decode(request, 4)
        if position is not None:
            position.moment(0)
            position.uuid(1)
            position.integer(2)
            position.text(3)
    except InvalidPageToken:
        return


def message(mutator: Mutator, _: random.Random, __: Path) -> None:
    """A message of a request: a draft that keeps what was sent, or a rejection that names a field."""
    sent = pb.MessageInput()
    try:
        sent.ParseFromString(mutator.data(samples.MESSAGE))
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        return
    draft = read_message(_validator, sent)
    if isinstance(draft, Rejected):
        assert draft.violation.description
    else:
        assert (draft.external_id, draft.text) == (sent.external_id, sent.text)
        assert draft.author_name == sent.author.name


PARSERS: Mapping[str, Fuzz] = {
    "telegram": telegram,
    "discord": discord,
    "jsonl": jsonl,
    "slack": slack,
    "bot_update": bot_update,
    "http_head": http_head,
    "page_token": page_token,
    "message": message,
}
