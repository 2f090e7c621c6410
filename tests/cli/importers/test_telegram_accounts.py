"""Exports of Telegram by account: private chats and basic groups are numbered by each, supergroups by themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.importers import ImportedChat, ImportedMessage, Truncated
from services.cli.importers.telegram import TelegramExport
from services.cli.importers.telegram_accounts import UNKNOWN_ACCOUNT
from tests.cli.importers.reading import messages
from tests.cli.importers.telegram_export import chat, ids, row, write


@pytest.mark.parametrize("information", [None, [], {}, {"user_id": "1"}, {"user_id": True}])
def test_full_account_of_nobody_known(tmp_path: Path, information: Any) -> None:
    """An export that does not say whose it is, whatever stands there, is imported; what may be mixed up is noted."""
    chats = [chat(row(1)), chat(row(5), id=44, type="private_group")]
    export = write(tmp_path, {"personal_information": information, "chats": {"list": chats}})
    assert ids(export) == ["-1000000000042", "1", "-44", "5"]
    assert export.summary.notes == {UNKNOWN_ACCOUNT: 1}


def test_the_same_private_chat_alone_and_in_a_full_export(tmp_path: Path) -> None:
    """In a private chat whoever is not the other exported it, so both exports name one source."""
    rows = [
        {"id": 1, "type": "service", "action": "phone_call"},
        row(2, from_id="user42"),
        row(3, from_id="user7"),
    ]
    alone = chat(*rows, type="personal_chat")
    account = {"personal_information": {"user_id": 7}, "chats": {"list": [alone]}}
    expected = ["42@7", "2", "3"]
    assert ids(write(tmp_path, alone)) == expected
    assert ids(write(tmp_path, account)) == expected
    assert ids(write(tmp_path, {"chats": {"list": [alone]}})) == expected


@pytest.mark.parametrize("author", [7, "user7"])
@pytest.mark.parametrize("kind", ["personal_chat", "bot_chat"])
def test_two_accounts_with_one_person(tmp_path: Path, author: Any, kind: str) -> None:
    """Two people's chats with the same person are two sources, also where ids are bare numbers."""
    other = 42 if isinstance(author, int) else "user42"
    first = chat(row(1, from_id=other), row(2, from_id=author), type=kind)
    second = chat(row(1, from_id=other), row(2, from_id="user8"), type=kind)
    assert ids(write(tmp_path, first))[0] == "42@7"
    assert ids(write(tmp_path, second))[0] == "42@8"


def test_an_account_that_is_named(tmp_path: Path) -> None:
    """A name that is given stands for whatever the file says; chats that number themselves need none."""
    write(tmp_path, chat(row(1), type="private_group"))
    export = TelegramExport(tmp_path, account="ada")
    assert ids(export) == ["-42@ada", "1"]
    assert not export.summary.notes
    write(tmp_path, chat(row(1), type="private_supergroup"))
    assert ids(TelegramExport(tmp_path, account="ada")) == ["-1000000000042", "1"]


def test_what_a_supergroup_took_over_is_of_an_account(tmp_path: Path) -> None:
    """Two people's exports of a supergroup agree on its messages, and keep apart those of the basic group it was."""
    old = [row(-999_999_995), row(-999_999_994, reply_to_message_id=-999_999_995)]
    group = chat(*old, row(2), row(3, reply_to_message_id=2), id=43)

    def read(person: int) -> list[tuple[str, str, str]]:
        account = {"personal_information": {"user_id": person}, "chats": {"list": [group]}}
        found = messages(write(tmp_path, account))
        return [(m.chat_external_id, m.external_id, m.reply_to_external_id) for m in found]

    new = [("-1000000000043", "2", ""), ("-1000000000043", "3", "2")]
    for person in (7, 8):
        past = [f"-999999995@{person}", f"-999999994@{person}"]
        assert read(person) == [
            ("-1000000000043", past[0], ""),
            ("-1000000000043", past[1], past[0]),
            *new,
        ]


def test_a_supergroup_alone_that_took_messages_over(tmp_path: Path) -> None:
    """An export that does not say whose it is keeps their numbers, and notes it once; a name that is given is taken."""
    export = write(tmp_path, chat(row(-999_999_995), row(-999_999_994), row(2)))
    assert ids(export) == ["-1000000000042", "-999999995", "-999999994", "2"]
    assert export.summary.notes == {UNKNOWN_ACCOUNT: 1}
    named = TelegramExport(tmp_path, account="ada")
    assert ids(named) == ["-1000000000042", "-999999995@ada", "-999999994@ada", "2"]
    assert not named.summary.notes


def test_a_private_chat_in_which_one_alone_speaks(tmp_path: Path) -> None:
    """Nothing waits for an owner without end: all rows come, also before a break of the file, and the next chat."""
    rows = [row(number, from_id="user42") for number in range(1, 1200)]
    whole = {"chats": {"list": [chat(*rows, type="personal_chat"), chat(row(1), id=43)]}}
    numbers = [str(number) for number in range(1, 1200)]
    assert ids(write(tmp_path, whole)) == ["42", *numbers, "-1000000000043", "1"]
    few = json.dumps(chat(*rows[:3], type="personal_chat")).encode()
    export = write(tmp_path, few[: few.rindex(b", {")])
    seen: list[object] = []
    with pytest.raises(Truncated):
        seen.extend(map(type, export))
    assert seen == [ImportedChat, ImportedMessage, ImportedMessage]


@pytest.mark.parametrize(
    ("number", "key"),
    [(7, "-1000000000007"), (2_140_037_715, "-1002140037715"), (98_765_432_100, "-1098765432100")],
)
def test_a_channel_has_one_key_for_bots_and_exports(tmp_path: Path, number: int, key: str) -> None:
    """Bots count channels down from a million million, however many digits their own numbers have."""
    assert ids(write(tmp_path, chat(row(1), id=number)))[0] == key
