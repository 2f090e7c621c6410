"""The SQL beside this module as the server gets it: for some kinds, under some conditions, of one generation.

Between `/*each JOINT*/` and `/*end*/` stands what is said once for every kind, with JOINT between. All that is put into
a statement is a fixed fragment, a name of a kind, an id or a number that was checked; values are always parameters.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.search.conditions import NO_FILTER, Condition, Parameters, to_sql

KINDS: Final = ("message", "atom", "topic")

_FILTER = (
    "row($1::uuid[], $2::text[], $3::timestamptz, $4::timestamptz, $5::text[], $6::text[], $7::uuid[], $8::text[],"
    " $9::text::tsquery)::search.filter, $10::uuid"
)
# The time of a row, as far as a kind has one.
_MOMENTS: Final = {"message": "s.sent_at", "atom": "s.sent_at", "topic": "null::timestamptz"}
_MONTH: Final = "date_trunc('month', s.sent_at at time zone 'utc')"
_BOTH: Final = ("message", "atom")
# The columns that facets count: the attribute that each is for, its type, and what it is of the kinds that have it.
_COUNTED: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "id": ("topic", "uuid", {"message": "s.id"}),
    "topic_id": ("topic", "uuid", {"atom": "s.topic_id"}),
    "source_id": ("source", "uuid", dict.fromkeys(KINDS, "s.source_id")),
    "author": ("author", "text", {"message": "s.author_external_id"}),
    "author_name": ("author", "text", {"message": "s.author_name"}),
    "thread": ("thread", "text", {"message": "s.thread_id"}),
    "label": ("label", "text", {"message": "s.importance_label"}),
    "type": ("atom_type", "text", {"atom": "s.type"}),
    "approval_state": ("approval_state", "text", {"atom": "s.approval_state"}),
    "language": ("language", "text", dict.fromkeys(KINDS, "s.language")),
    "month": ("month", "timestamp", dict.fromkeys(_BOTH, _MONTH)),
}
# What rests on words that are all gone is never shown, and counts do not hold it.
_FOUNDED: Final = {"atom": "s.id not in (select u.id from search.unfounded_atoms() u (id))"}
_EVERYTHING: Final = {
    "message": """(
      select from ingest.message m
      where m.workspace_id = $1 and m.deleted_at is null and m.text <> ''
      union all
      select from ingest.message m
      where m.workspace_id = $1 and m.deleted_at is null and m.text = '') s""",
    "atom": f"search.live_atoms({NO_FILTER}, $1) s where {_FOUNDED['atom']}",
    "topic": f"search.live_topics({NO_FILTER}, $1) s",
}
_EACH = re.compile(r"/\*each ?(.*?)\*/(.*?)/\*end\*/", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+)")


@cache
def _texts() -> Mapping[str, str]:
    loaded: dict[str, str] = {}
    for name in ("store.sql", "nearest.sql", "lookups.sql", "copying.sql"):
        loaded |= sql.load(Path(__file__).with_name(name))
    facets = loaded["facets"]
    loaded["facets"] = facets.replace("{kept}", "materialized")
    # To read everything again costs less than to keep all of it.
    loaded["facets_of_everything"] = facets.replace("{kept}", "not materialized")
    return {
        name: text.replace("{filter}", _FILTER).replace("{no_filter}", NO_FILTER)
        for name, text in loaded.items()
    }


def names() -> list[str]:
    """Every statement."""
    return list(_texts())


@cache
def parameters_of(name: str) -> int:
    """How many parameters a statement has of its own."""
    return max((int(number) for number in _PARAMETER.findall(_texts()[name])), default=0)


def statement(
    name: str,
    kinds: Sequence[str] = KINDS,
    condition: Condition | None = None,
    generation: UUID | None = None,
    dimensions: int = 0,
) -> tuple[str, list[Any]]:
    """Return the text of a statement and the values of its conditions, which come after its own parameters."""
    if condition is None:
        return _plain(name, tuple(kinds), generation, dimensions), []
    parameters = Parameters(parameters_of(name) + 1)
    text = _expand(name, kinds, condition, parameters)
    return _of_generation(text, generation, dimensions), parameters.values


@cache
def _plain(name: str, kinds: tuple[str, ...], generation: UUID | None, dimensions: int) -> str:
    text = _expand(name, kinds, None, Parameters(0))
    return _of_generation(text, generation, dimensions)


def _expand(
    name: str, kinds: Sequence[str], condition: Condition | None, parameters: Parameters
) -> str:
    """Say once for every kind what is to be said for each, and put in the conditions."""
    wanted = [kind for kind in KINDS if kind in kinds]
    asked: dict[str, str] = {}

    def of_kind(text: str, kind: str) -> str:
        # A parameter that no text names has no type, so nothing is asked before it is known to stand there.
        if "{condition}" in text and kind not in asked:
            asked[kind] = to_sql(condition, kind, parameters)
        text = text.replace("{kind}", kind).replace("{condition}", asked.get(kind, ""))
        text = text.replace("{everything}", _EVERYTHING[kind])
        text = text.replace("{founded}", _FOUNDED.get(kind, "true"))
        return text.replace("{moment}", _MOMENTS[kind]).replace("{columns}", _columns(kind))

    def each(match: re.Match[str]) -> str:
        return f" {match[1]} ".join(of_kind(match[2], kind) for kind in wanted)

    text = _EACH.sub(each, _texts()[name])
    text = text.replace("{kinds}", ", ".join(f"'{kind}'" for kind in wanted))
    if "{message_condition}" in text:
        text = text.replace("{message_condition}", to_sql(condition, "message", parameters))
    return of_kind(text, wanted[0]) if len(wanted) == 1 else text


def _columns(kind: str) -> str:
    """What facets read of a kind: null what it has not, and what is not asked for, which costs nothing then."""
    return ", ".join(
        f"case when '{asked}' = any ($12::text[]) then {of_kind[kind]} end as {column}"
        if kind in of_kind
        else f"null::{of_type} as {column}"
        for column, (asked, of_type, of_kind) in _COUNTED.items()
    )


def _of_generation(text: str, generation: UUID | None, dimensions: int) -> str:
    """Name the generation in the text itself, so that its partition and index are known to the planner."""
    if generation is None:
        return text
    named = text.replace("{generation}", str(UUID(str(generation))))
    return named.replace("{dimensions}", str(int(dimensions)))
