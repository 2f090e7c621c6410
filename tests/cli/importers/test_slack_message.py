"""One message of a Slack export: its thread, edits, author, files and markup."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedAttachment,
    ImportedEntity,
    ImportedOrigin,
)
from services.cli.importers.slack_text import render
from tests.cli.importers.reading import messages
from tests.cli.importers.slack_export import export, only, rich, row, section, spoken, unpacked


def test_threads(tmp_path: Path) -> None:
    """A reply is in its thread and answers its first message, which itself stays in the channel."""
    rows = [
        row(1, thread_ts="1.000100", reply_count=2),
        row(2, thread_ts="1.000100", parent_user_id="U1"),
        row(3, thread_ts="1.000100", subtype="thread_broadcast"),
    ]
    placed = [
        (m.thread_id, m.reply_to_external_id) for m in messages(unpacked(tmp_path, export(*rows)))
    ]
    assert placed == [("", ""), ("1.000100", "1.000100"), ("1.000100", "1.000100")]


def test_edits(tmp_path: Path) -> None:
    """An edit has its time, whether it is a mark on the message or a row of its own."""
    edited = {"user": "U1", "ts": "1714557700.000000"}
    changed = {
        "type": "message",
        "subtype": "message_changed",
        "ts": "1714557700.000000",
        "message": {"type": "message", "user": "U1", "ts": "1.000100", "text": "new"},
    }
    for one in (row(1, "new", edited=edited), changed):
        message = only(tmp_path, one)
        assert (message.external_id, message.text) == ("1.000100", "new")
        assert message.edited_at == datetime(2024, 5, 1, 10, 1, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({}, ("U1", "Ada", False)),
        ({"user": "U2"}, ("U2", "Grace H", False)),
        ({"user": "U3"}, ("U3", "CI", True)),
        ({"user": "USLACKBOT"}, ("USLACKBOT", "", True)),
        ({"user": "W9", "user_profile": {"real_name": "Lin"}}, ("W9", "Lin", False)),
        ({"user": "U1", "bot_id": "B1", "bot_profile": {"name": "CI"}}, ("U1", "CI", True)),
        (
            {"user": None, "subtype": "bot_message", "bot_id": "B2", "username": "Deploys"},
            ("B2", "Deploys", True),
        ),
        (
            {"user": None, "subtype": "file_comment", "comment": {"user": "U1", "comment": "hm"}},
            ("U1", "Ada", False),
        ),
    ],
)
def test_authors(tmp_path: Path, fields: dict[str, Any], author: tuple[str, str, bool]) -> None:
    """People have the names that others see; bots are known by how they speak and by the list."""
    message = only(tmp_path, row(1, **fields))
    assert (message.author_external_id, message.author_name, message.author_is_bot) == author


@pytest.mark.parametrize(
    ("file", "attachment"),
    [
        (
            {"name": "a.png", "mimetype": "image/png", "size": 3},
            ImportedAttachment("photo", "a.png", "image/png", 3),
        ),
        (
            {"name": "a.mp4", "mimetype": "video/mp4"},
            ImportedAttachment("video_file", "a.mp4", "video/mp4"),
        ),
        ({"title": "Plan", "size": -1}, ImportedAttachment("document", "Plan")),
        ({"id": "F1", "mode": "tombstone"}, ImportedAttachment("document")),
        ({"id": "F1", "mode": "hidden_by_limit"}, ImportedAttachment("document")),
    ],
)
def test_files(tmp_path: Path, file: dict[str, Any], attachment: ImportedAttachment) -> None:
    """Files are attachments, in new exports and in old ones; of a deleted one little is known."""
    for fields in ({"files": [file]}, {"file": file, "subtype": "file_share"}):
        message = only(tmp_path, row(1, "see", **fields))
        assert message.attachments == (attachment,)
        assert (message.kind, message.text) == (attachment.type, "see")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ({"name": "a.py", "title": "a.py", "preview": "def f(): <pass>"}, "def f(): <pass>"),
        (
            {"title": "Invoice overdue", "plain_text": "please pay", "preview": "please"},
            "Invoice overdue\nplease pay",
        ),
        (
            {"name": "clip.m4a", "transcription": {"preview": {"content": "on my way"}}},
            "on my way",
        ),
        ({"name": "a.png", "title": "Plan"}, ""),
    ],
)
def test_words_of_files(tmp_path: Path, file: dict[str, Any], text: str) -> None:
    """A snippet, an email and a spoken clip say what the message does not."""
    assert only(tmp_path, row(1, "", files=[file])).text == text
    assert only(tmp_path, row(1, "see", files=[file])).text == "see"


@pytest.mark.parametrize(
    ("markup", "text", "spans"),
    [
        ("<@U1> &lt;b&gt; &amp;amp;", "@Ada <b> &amp;", [("mention", "@Ada", "slack://user?id=U1")]),
        ("<@U9|lin>", "@lin", [("mention", "@lin", "slack://user?id=U9")]),
        ("<@W8>", "@W8", [("mention", "@W8", "slack://user?id=W8")]),
        ("in <#C2|>", "in #ops", [("hashtag", "#ops", "slack://channel?id=C2")]),
        ("in <#C1|old>", "in #old", [("hashtag", "#old", "slack://channel?id=C1")]),
        ("😀 <https://a.test/?a=1&amp;b=2>", "😀 https://a.test/?a=1&b=2", [("link", "https://a.test/?a=1&b=2", "")]),
        ("<https://a.test|the &lt;docs&gt;>", "the <docs>", [("text_link", "the <docs>", "https://a.test")]),
        ("<mailto:a@b.test|a@b.test>", "a@b.test", [("email", "a@b.test", "mailto:a@b.test")]),
        ("<!here> <!subteam^S1|@ops>", "@here @ops", [("mention", "@here", ""), ("mention", "@ops", "")]),
        ("<!date^1714557600^{date}|May 1st>", "May 1st", []),
        ("`a &lt; b` and ```x\ny```", "`a < b` and ```x\ny```", [("code", "a < b", ""), ("pre", "x\ny", "")]),
        ("1 <2 and 3> 4, <>", "1 <2 and 3> 4, <>", []),
    ],
)  # fmt: skip
def test_markup(markup: str, text: str, spans: list[tuple[str, str, str]]) -> None:
    """Markup becomes what people read, and every span is where its words are."""
    rendered, entities = render(markup, {"U1": "Ada"}, {"C2": "ops"})
    assert rendered == text
    assert [(e.type, text[e.offset :][: e.length], e.url) for e in entities] == spans


def test_bot_attachments_and_blocks(tmp_path: Path) -> None:
    """A message without text says what its attachments say, or its blocks."""
    attached = {
        "pretext": "Deploy",
        "title": "<https://ci.test|#42>",
        "text": "failed",
        "fallback": "x",
        "fields": [{"title": "Step", "value": "test"}],
    }
    assert (
        only(tmp_path, row(1, "", attachments=[attached])).text == "Deploy\n#42\nfailed\nStep\ntest"
    )
    assert only(tmp_path, row(1, "", attachments=[{"fallback": "fell"}])).text == "fell"
    assert only(tmp_path, row(1, "own", attachments=[attached])).text == "own"
    rich = {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": "a <b> "},
                    {"type": "user", "user_id": "U2"},
                    {"type": "link", "url": "https://a.test", "text": " docs"},
                    {"type": "emoji", "name": "tada"},
                ],
            }
        ],
    }
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "<#C2> &amp;"}}
    message = only(tmp_path, row(1, "", blocks=[rich, section]))
    assert message.text == "a <b> @Grace H docs:tada:\n#ops &"
    assert [e.type for e in message.entities] == ["mention", "text_link", "hashtag"]


@given(
    st.text(
        st.sampled_from("<>@#!|^&lt;amp`\nUC12: https😀") | st.characters(exclude_categories=["Cs"])
    )
)
def test_spans_lie_within_the_text(markup: str) -> None:
    """Whatever is written, every span covers characters of the text."""
    text, entities = render(markup, {"U1": "Ada"}, {"C2": "ops"})
    assert all(e.length > 0 and e.offset + e.length <= len(text) for e in entities)


def test_long_markup_is_bounded() -> None:
    """A text of nothing but mentions has no more spans than ingest takes."""
    text, entities = render("<@U1>" * 3000, {}, {})
    assert text == "@U1" * 3000
    assert len(entities) == 1000
    assert entities[0] == ImportedEntity("mention", 0, 3, "slack://user?id=U1")


def test_blocks_of_apps(tmp_path: Path) -> None:
    """Every block that has words says them, and no two run together."""
    cell = {"type": "rich_text", "elements": [section(spoken("db"))]}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Alert"}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "*High* load"},
            "fields": [{"type": "mrkdwn", "text": "Host"}, {"type": "mrkdwn", "text": "db-2"}],
        },
        {"type": "divider"},
        {"type": "image", "image_url": "https://a.test/x.png"},
        {
            "type": "context",
            "elements": [
                {"type": "image", "alt_text": "graph"},
                {"type": "mrkdwn", "text": "by <@U1>"},
            ],
        },
        {"type": "markdown", "text": "**see** <log>"},
        {"type": "image", "title": {"type": "plain_text", "text": "Load"}, "alt_text": "x"},
        {"type": "table", "rows": [[cell, {"type": "raw_text", "text": "7"}], [cell]]},
    ]
    for text in ("", "This content can't be displayed."):
        assert only(tmp_path, row(1, text, blocks=blocks)).text == (
            "Alert\n*High* load\nHost\ndb-2\ngraph by @Ada\n**see** <log>\nLoad\ndb | 7\ndb"
        )


def test_what_bots_say_beside_their_text(tmp_path: Path) -> None:
    """A bot's text may be a headline only: what it attaches is said, too, once, and previews of links are not."""
    bot = {"subtype": "bot_message", "bot_id": "B1", "user": None}
    detail = {"title": "job 4", "text": "compile error"}
    coloured = {
        "color": "#f00",
        "fallback": "[no preview available]",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "job 5"}}],
    }
    preview = {"from_url": "https://a.test", "text": "a page"}
    same = rich(section(spoken("Build failed", bold=True)))
    said = only(
        tmp_path,
        row(1, "*Build failed*", attachments=[detail, coloured, preview], blocks=same, **bot),
    )
    assert said.text == "*Build failed*\njob 4\ncompile error\njob 5"
    longer = rich(section(spoken("The build has failed on main")))
    assert only(tmp_path, row(1, "build failed", blocks=longer, **bot)).text == (
        "The build has failed on main"
    )
    assert only(tmp_path, row(1, "see", attachments=[detail], blocks=longer)).text == "see"


def test_deletions(tmp_path: Path) -> None:
    """A message that the export says is deleted is so, in whichever of three ways it says that, and keeps no words."""
    gone = row(1, "This message was deleted.", subtype="tombstone", user="USLACKBOT")
    deleted = {
        "type": "message",
        "subtype": "message_deleted",
        "ts": "9.000100",
        "deleted_ts": "1.000100",
        "previous_message": row(1, "secret"),
    }
    changed = {"type": "message", "subtype": "message_changed", "ts": "9.000100", "message": gone}
    for one in (gone, deleted, changed):
        message = only(tmp_path, one)
        assert (message.external_id, message.text, message.deleted) == ("1.000100", "", True)
        assert message.author_external_id == ""


SHARE = {
    "ts": "1714557600.000100",
    "from_url": "https://team.slack.com/archives/C2/p1714557600000100",
    "fallback": "[May 1st, 2024 12:00 PM] grace: the disk is full",
    "text": "the disk is full",
    "channel_id": "C2",
    "is_msg_unfurl": True,
    "footer": "Posted in #ops",
}


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({}, None),
        ({"author_id": "U2", "author_name": "grace"}, None),
        (
            {"is_share": True, "author_id": "U2", "author_name": "grace"},
            ImportedOrigin("U2", "Grace H"),
        ),
        (
            {"is_share": True, "author_id": "U9", "author_name": "Guest"},
            ImportedOrigin("U9", "Guest"),
        ),
        ({"is_share": True, "author_name": "Guest"}, ImportedOrigin(name="Guest")),
        ({"is_share": True}, ImportedOrigin("slack:C2", "ops")),
        (
            {"is_share": True, "channel_id": "C9", "channel_name": "away"},
            ImportedOrigin("slack:C9", "away"),
        ),
        ({"is_share": True, "channel_id": None}, ImportedOrigin()),
    ],
)
def test_shared_messages(
    tmp_path: Path, fields: dict[str, Any], origin: ImportedOrigin | None
) -> None:
    """A message that shares another says whose it is, or from where; a preview of a link shares nothing."""
    message = only(tmp_path, row(1, "", attachments=[SHARE | fields]))
    assert (message.forwarded_from, message.text) == (origin, "the disk is full")


def test_a_shared_message_with_a_comment(tmp_path: Path) -> None:
    """Both the comment and what is shared are read, but no preview of a link beside them."""
    preview = {"from_url": "https://a.test", "title": "A page", "text": "about disks"}
    shared = SHARE | {"is_share": True, "author_id": "U2"}
    message = only(tmp_path, row(1, "Does anybody know this?", attachments=[preview, shared]))
    assert message.text == "Does anybody know this?\nthe disk is full"
    assert message.forwarded_from == ImportedOrigin("U2", "Grace H")
    commented = only(tmp_path, row(1, "see <https://a.test>", attachments=[preview, SHARE]))
    assert (commented.text, commented.forwarded_from) == ("see https://a.test", None)
