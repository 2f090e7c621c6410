"""What a row of a Slack export says, as markup: its text, or what is in its blocks and attachments."""

import re
import sys
from collections.abc import Iterable, Mapping

from services.cli.importers.rows import Row, listed, nested, size, string

# As many as Slack takes; each is compared with all others.
_ATTACHMENTS_MAX = 100
_WORD = re.compile(r"\w+")
_CODE_POINTS = re.compile(r"[0-9a-f]{2,6}(?:-[0-9a-f]{2,6}){0,15}", re.ASCII)
_MARKUP = frozenset("<>&")
# What Slack puts in place of a text that was not given.
_NO_TEXTS = frozenset(("This content can't be displayed.", "[no preview available]"))
# What an element may be made of, in reading order, and what stands between its parts: a new line if it is not said.
_PARTS = ("title", "text", "description", "elements", "fields", "rows")
_BETWEEN: Mapping[str, str] = {
    "rich_text_section": "",
    "context": " ",
    "actions": " ",
    "row": " | ",
}

Part = Row | str | None
"""An element of a block, markup, or None for the beginning of a line."""


def markup_of(row: Row, is_bot: bool) -> str:
    """What a message says, as markup.

    A person's text is all of it, but for a message that it shares: the blocks say the same, other attachments are
    previews of links. A bot may put the most of it, and anybody all of it, into attachments and blocks.
    """
    text, attachments = _said(row, "text"), listed(row, "attachments")[:_ATTACHMENTS_MAX]
    if text and not is_bot:
        shared = (_attached(item) for item in attachments if item.get("is_share") is True)
        return "\n".join(_told_once([text, *shared]))
    attachments = [item for item in attachments if not text or not string(item, "from_url")]
    return "\n".join(
        _told_once([text, _blocks(row), _lines(_attached(item) for item in attachments)])
    )


def emoji_of(row: Row) -> dict[str, str]:
    """The characters of a message's emoji, as its blocks tell them, by what stands for them in its text.

    An emoji of the workspace's own has none, and stays a name; so do all in a message without such blocks.
    """
    found: dict[str, str] = {}
    waiting = listed(row, "blocks")
    while waiting:
        item = waiting.pop()
        if string(item, "type") == "emoji" and (characters := _characters(item)):
            found[_short_name(item)] = characters
        waiting.extend(_parts(item))
    return found


def _short_name(emoji: Row) -> str:
    tone = size(emoji, "skin_tone")
    return f":{string(emoji, 'name')}:" + (f":skin-tone-{tone}:" if tone else "")


def _characters(emoji: Row) -> str:
    """What an emoji is in Unicode; empty if that is not told, or is a control character or what markup is made of."""
    told = string(emoji, "unicode")
    if not _CODE_POINTS.fullmatch(told):
        return ""
    points = [int(point, 16) for point in told.split("-")]
    is_text = all(
        ord(" ") <= each <= sys.maxunicode and not 0xD800 <= each <= 0xDFFF for each in points
    )
    characters = "".join(map(chr, points)) if is_text else ""
    return "" if _MARKUP.intersection(characters) else characters


def _said(row: Row, name: str) -> str:
    text = string(row, name)
    return "" if text in _NO_TEXTS else text


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)


def _told_once(texts: Iterable[str]) -> list[str]:
    """The texts without those whose words another has, too; of two with the same words, the first."""
    kept: list[tuple[str, set[str]]] = []
    for text in filter(None, texts):
        words = set(_WORD.findall(text))
        if not any(words <= other for _, other in kept):
            kept = [(each, other) for each, other in kept if not other < words]
            kept.append((text, words))
    return [text for text, _ in kept]


def _attached(item: Row) -> str:
    lines = [string(item, name) for name in ("pretext", "title", "text")]
    for pair in listed(item, "fields"):
        lines += [string(pair, "title"), string(pair, "value")]
    return _lines(lines) or _blocks(item) or _said(item, "fallback")


def _blocks(row: Row) -> str:
    return _lines(map(_words, listed(row, "blocks")))


def _words(block: Row) -> str:
    """The markup of a block in reading order, whatever it is nested in."""
    said: list[str] = []
    waiting: list[Part] = [block]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(reversed(_element(item)))
        elif item:
            said.append(item)
        elif item is None and said and not said[-1].endswith("\n"):
            said.append("\n")
    return "".join(said).strip()


def _element(item: Row) -> list[Part]:
    """What an element says, or of what it is made and what stands between that."""
    match string(item, "type"):
        case "mrkdwn":
            return [string(item, "text")]
        case "text":
            text = _escape(string(item, "text"))
            return [f"`{text}`" if nested(item, "style").get("code") is True else text]
        case "plain_text" | "raw_text" | "markdown":
            return [_escape(string(item, "text"))]
        case "link":
            return [f"<{_escape(string(item, 'url'))}|{_escape(string(item, 'text'))}>"]
        case "user":
            return [f"<@{_escape(string(item, 'user_id'))}>"]
        case "channel":
            return [f"<#{_escape(string(item, 'channel_id'))}>"]
        case "usergroup":
            return [f"<!subteam^{_escape(string(item, 'usergroup_id'))}>"]
        case "broadcast":
            return [f"<!{_escape(string(item, 'range'))}>"]
        case "date":
            return [_escape(string(item, "fallback"))]
        case "color":
            return [_escape(string(item, "value"))]
        case "emoji":
            return [_characters(item) or _escape(_short_name(item))]
        case "image":
            return [nested(item, "title") or _escape(string(item, "alt_text"))]
        case "rich_text_preformatted":
            return ["```", *listed(item, "elements"), "```"]
        case "rich_text_quote":
            return ["&gt; ", *listed(item, "elements")]
        case "rich_text_list":
            return _list(item)
        case kind:
            return _joined(_parts(item), _BETWEEN.get(kind))


def _list(item: Row) -> list[Part]:
    """A list, marked and indented as in Slack's own texts."""
    indent, first = "    " * min(size(item, "indent"), 8), size(item, "offset") + 1
    is_ordered = string(item, "style") == "ordered"
    said: list[Part] = []
    for number, line in enumerate(listed(item, "elements"), start=first):
        said += [None, f"{indent}{f'{number}.' if is_ordered else '•'} ", line]
    return said


def _parts(item: Row) -> list[Row]:
    """The elements that an element holds; a row of a table is one."""
    found: list[Row] = []
    for name in _PARTS:
        value = item.get(name)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                found.append(part)
            elif isinstance(part, list):
                found.append({"type": "row", "elements": part})
    return found


def _joined(parts: list[Row], between: str | None) -> list[Part]:
    """Parts with something between them."""
    return [each for part in parts for each in (between, part)][1:]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
