"""Writes docs/settings.md: every setting with its default and its meaning, from the code that reads it."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.common.settings import PREFIX, Settings
from tools.setting_names import EXTRA, names

TARGET = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Environment variables; a misspelt one is refused by name, and an empty one that names a file or folder is as
one that is not set. `make docs` writes this page from the code that reads them.
"""
BY_HAND = {
    "WINNOW_ADMIN_DATABASE_URL": "The owner's login, for `winnow migrate` and `winnow keys`.",
    "WINNOW_DATA_DIR": "Where the data of `winnow up` lives, for every command that takes `--data-dir`.",
    "WINNOW_API_KEY": "The key that the `winnow` command calls with.",
}


def page() -> str:
    """Return the page: a section for each group of settings, in the order of their modules."""
    names()
    groups: list[type[Settings]] = [Settings]
    for group in groups:
        groups += group.__subclasses__()
    ours = [g for g in groups if g.__module__.startswith("services.") and g.model_fields]
    sections = [HEAD]
    seen: set[str] = set()
    for group in sorted(ours, key=_place):
        rows = [_row(name, field) for name, field in group.model_fields.items() if name not in seen]
        if rows:
            sections.append(_section(group, rows))
        seen.update(group.model_fields)
    by_hand = [
        f"| `{name}` | – | {BY_HAND[name]} |"
        for name in sorted(EXTRA)
        if name[len(PREFIX) :].lower() not in seen
    ]
    if by_hand:
        sections.append(
            "## The command\n\n| variable | default | sets |\n|---|---|---|\n"
            + "\n".join(by_hand)
            + "\n"
        )
    return "\n".join(sections)


def _place(group: type[Settings]) -> tuple[bool, str, str]:
    """Services and what they share first, since the command reads some of their settings as well."""
    return group.__module__.startswith("services.cli"), group.__module__, group.__name__


def _section(group: type[Settings], rows: list[str]) -> str:
    title = " ".join((group.__doc__ or "").split())
    head = "| variable | default | values and meaning |\n|---|---|---|\n"
    return f"## {title}\n\n{head}" + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    what = "; ".join(filter(None, (_values(field), field.description or "")))
    return f"| `{PREFIX}{name.upper()}` | {_default(field)} | {what.replace('|', chr(92) + '|')} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return (
        "–"
        if default in (None, "")
        else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    )


def _values(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    limits = []
    for each in field.metadata:
        for kind, sign, value in (
            (Ge, "≥", getattr(each, "ge", None)), (Gt, ">", getattr(each, "gt", None)),
            (Le, "≤", getattr(each, "le", None)), (Lt, "<", getattr(each, "lt", None)),
        ):  # fmt: skip
            if isinstance(each, kind):
                limits.append(f"{sign} {value}")
    return ", ".join(limits)


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
