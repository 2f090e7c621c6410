"""What stands in the rich text of a Slack message: lines of their own, and emoji."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.importers.slack_export import only, rich, row, section, spoken


def test_rich_text_keeps_its_lines(tmp_path: Path) -> None:
    """Lists, quotes and code of a message that has blocks alone stand on lines of their own, as in Slack's texts."""
    lists = [
        {"type": "rich_text_list", "style": style, "indent": indent, "elements": lines}
        for style, indent, lines in (
            ("bullet", 0, [section(spoken("one")), section(spoken("two"))]),
            ("ordered", 1, [section(spoken("first"))]),
        )
    ]
    blocks = rich(
        section(spoken("Run "), spoken("make", code=True), spoken(":\n")),
        *lists,
        {"type": "rich_text_preformatted", "elements": [spoken("a = 1\n  b")]},
        {"type": "rich_text_quote", "elements": [spoken("said")]},
        section(
            {"type": "broadcast", "range": "here"},
            spoken(" "),
            {"type": "usergroup", "usergroup_id": "S1"},
            spoken(" "),
            {"type": "date", "timestamp": 1, "format": "{date}", "fallback": "May 1st"},
            spoken(" "),
            {"type": "color", "value": "#ff0000"},
        ),
    )
    message = only(tmp_path, row(1, "", blocks=blocks))
    assert message.text == (
        "Run `make`:\n• one\n• two\n    1. first\n```a = 1\n  b```\n> said\n@here @S1 May 1st #ff0000"
    )
    assert [entity.type for entity in message.entities] == ["code", "pre", "mention", "mention"]


def _emoji(name: str, unicode: str = "", **fields: Any) -> dict[str, Any]:
    return {"type": "emoji", "name": name, "unicode": unicode, **fields}


def test_emoji_are_the_characters_that_slack_shows(tmp_path: Path) -> None:
    """A short name becomes what the blocks say it is, in the text and out of them; the team's own ones stay names."""
    blocks = rich(
        section(
            _emoji("white_check_mark", "2705"),
            spoken(" at 10:30:"),
            _emoji("fire", "1f525"),
            spoken(" "),
            _emoji("wave", "1f44b"),
            _emoji("wave", "1f44b-1f3fc", skin_tone=3),
            _emoji("+1::skin-tone-2", "1f44d-1f3fb"),
            _emoji("flag-ua", "1f1fa-1f1e6"),
            _emoji("party_ann"),
            spoken(" see :tada:"),
        )
    )
    shown = "✅ at 10:30:🔥 👋👋🏼👍🏻🇺🇦:party_ann: see :tada:"
    assert only(tmp_path, row(1, "", blocks=blocks)).text == shown
    typed = (
        ":white_check_mark: at 10:30::fire: :wave::wave::skin-tone-3::+1::skin-tone-2::flag-ua::party_ann:"
        " see :tada:"
    )
    assert only(tmp_path, row(1, typed, blocks=blocks)).text == shown
    link = "<https://a.test/:fire:|docs> :fire:"
    message = only(tmp_path, row(1, link, blocks=blocks))
    assert (message.text, message.entities[0].url) == ("docs 🔥", "https://a.test/:fire:")


@pytest.mark.parametrize(
    "unicode",
    ["d800", "110000", "fire", "1f525-", "", "-" * 99, "00", "1f525-0a", "3c", "26-6c-74-3b"],
)
def test_what_is_no_character_stays_a_name(tmp_path: Path, unicode: str) -> None:
    """Whatever a file says that an emoji is, its text is one that can be stored."""
    blocks = rich(section(_emoji("fire", unicode)))
    assert only(tmp_path, row(1, ":fire:", blocks=blocks)).text == ":fire:"
    assert only(tmp_path, row(1, "", blocks=blocks)).text == ":fire:"


def test_emoji_without_end(tmp_path: Path) -> None:
    """Any number of emoji and of places for them is read in one go; the text is refused later, for its length."""
    names = [f"e{number}" for number in range(20_000)]
    blocks = rich(section(*(_emoji(name, "1f525") for name in names)))
    typed = "".join(f"<@U1>:{name}:" for name in names)
    assert only(tmp_path, row(1, typed, blocks=blocks)).text == "@Ada🔥" * len(names)


def test_attachments_without_end(tmp_path: Path) -> None:
    """Of more attachments than Slack takes the first are read: each is compared with the others."""
    many = [{"text": f"a{number}"} for number in range(100_000)]
    text = only(tmp_path, row(1, "", attachments=many)).text
    assert text.splitlines() == [f"a{number}" for number in range(100)]
