"""Slack's message markup as readable text: mentions, channels, links, dates and escapes."""

import re
from collections.abc import Mapping

from services.cli.importers import ImportedEntity
from services.cli.importers.rendering import Rendering

_TOKEN = re.compile(r"<([^<>]+)>")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NO_EMOJI: Mapping[str, str] = {}
_CONTACTS = {"mailto:": "email", "tel:": "phone"}


def render(
    markup: str,
    people: Mapping[str, str],
    channels: Mapping[str, str],
    emoji: Mapping[str, str] = _NO_EMOJI,
) -> tuple[str, tuple[ImportedEntity, ...]]:
    """The text a reader sees and its spans; people and channels are names by id, emoji characters by short name."""
    rendering = Rendering()
    end = 0
    for match in _TOKEN.finditer(markup):
        rendering.add(_unescape(_shown(markup[end : match.start()], emoji)))
        _add_token(rendering, match[1], people, channels)
        end = match.end()
    rendering.add(_unescape(_shown(markup[end:], emoji)))
    return rendering.finish()


def _shown(text: str, emoji: Mapping[str, str]) -> str:
    """The text with emoji for their names, in one look at each: a file may tell of any number."""
    if not emoji:
        return text
    first, *parts = text.split(":")
    said, at = [first], 0
    while at < len(parts):
        name, *after = parts[at : at + 4]
        # With a tone of skin before without.
        if len(after) == 3 and not after[0] and (toned := f":{name}::{after[1]}:") in emoji:
            said += [emoji[toned], after[2]]
            at += 4
        elif after and f":{name}:" in emoji:
            said += [emoji[f":{name}:"], after[0]]
            at += 2
        else:
            said += [":", name]
            at += 1
    return "".join(said)


def _add_token(
    rendering: Rendering, token: str, people: Mapping[str, str], channels: Mapping[str, str]
) -> None:
    target, _, label = (_unescape(part) for part in token.partition("|"))
    if target.startswith("@"):
        name = people.get(target[1:]) or label or target[1:]
        rendering.add(f"@{name.removeprefix('@')}", "mention", f"slack://user?id={target[1:]}")
    elif target.startswith("#"):
        name = label or channels.get(target[1:]) or target[1:]
        rendering.add(f"#{name.removeprefix('#')}", "hashtag", f"slack://channel?id={target[1:]}")
    elif target.startswith("!"):
        _add_command(rendering, target[1:], label)
    elif _SCHEME.match(target):
        _add_link(rendering, target, label)
    else:
        rendering.add(f"<{_unescape(token)}>")


def _add_command(rendering: Rendering, command: str, label: str) -> None:
    """`!here`, `!subteam^S1|@ops`, `!date^0^{date}|today`: a group is a mention, a date is text."""
    name, _, value = command.partition("^")
    if name == "date":
        rendering.add(label or value)
    else:
        rendering.add(f"@{(label or value or name).removeprefix('@')}", "mention")


def _add_link(rendering: Rendering, target: str, label: str) -> None:
    for scheme, kind in _CONTACTS.items():
        if target.startswith(scheme):
            rendering.add(label or target.removeprefix(scheme), kind, target)
            return
    if label and label != target:
        rendering.add(label, "text_link", target)
    else:
        rendering.add(target, "link")


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
