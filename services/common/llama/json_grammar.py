"""Turn a JSON schema into a GBNF grammar of the JSON texts that obey it, in one fixed spacing.

Texts are spaced as by Python's json.dumps, so that no tokens are spent on layout. Strings hold no
control characters and no \\u escapes: what comes out always parses, and is valid Unicode. Members
appear in the order of the schema, optional ones may be absent, and there are no others.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.common.llama.errors import BadGrammar

Schema = Mapping[str, Any]

REPETITIONS_MAX: Final = 1999
INTEGER_DIGITS_MAX: Final = 15

_ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$defs", "definitions", "title", "description", "default", "examples"}
)
_KEYWORDS: Final = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": set[str](),
    "boolean": set[str](),
    "null": set[str](),
}
_BASE_RULES: Final = {
    "char": r'[^"\\\x00-\x1F\x7F] | "\\" ["\\/nrt]',
    "integer": f'"-"? ("0" | [1-9] [0-9]{{0,{INTEGER_DIGITS_MAX - 1}}})',
    "number": 'integer ("." [0-9]{1,15})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
}


def schema_to_grammar(schema: Schema) -> str:
    """Return the grammar; BadGrammar names the first part of the schema that cannot be held."""
    builder = _Builder(schema)
    root = builder.expression(schema, "root")
    rules = {"root": root, **_BASE_RULES, **builder.rules}
    return "\n".join(f"{name} ::= {body}" for name, body in rules.items())


class _Builder:
    """Collects a rule for each array, object and reference of one schema."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._references: dict[str, str] = {}
        self.rules: dict[str, str] = {}

    def expression(self, schema: Schema, path: str) -> str:
        """Return what matches a value of the schema; `path` names it in errors."""
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]), path)
        if "const" in schema:
            return _literal(schema["const"])
        if "enum" in schema:
            return _either([_literal(value) for value in schema["enum"]], path)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return _either([self.expression(one, path) for one in schema[union]], path)
        kinds = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kinds, list):
            return _either([self._value(kind, schema, path, kinds) for kind in kinds], path)
        return self._value(kinds, schema, path, [kinds])

    def _value(self, kind: Any, schema: Schema, path: str, kinds: list[Any]) -> str:
        if kind not in _KEYWORDS:
            raise BadGrammar(f"JSON schema, {path}: type {kind!r} is not supported")
        allowed = {word for one in kinds for word in _KEYWORDS.get(one, ())} | {"type"}
        for keyword in schema:
            if keyword not in allowed and keyword not in _ANNOTATIONS:
                raise BadGrammar(f"JSON schema, {path}: {keyword} is not supported")
        match kind:
            case "object":
                return self._object(schema, path)
            case "array":
                return self._array(schema, path)
            case "string":
                return _string(schema, path)
            case "integer":
                return _integer(schema, path)
        return str(kind)

    def _object(self, schema: Schema, path: str) -> str:
        required = set(schema.get("required", ()))
        members = []
        for name, value in schema.get("properties", {}).items():
            body = self._add(self.expression(value, f"{path}.{name}"))
            members.append((f"{_quote(json.dumps(name, ensure_ascii=False) + ': ')} {body}", name))
        unknown = required - {name for _, name in members}
        if unknown:
            raise BadGrammar(f"JSON schema, {path}: required {min(unknown)!r} has no schema")
        rest = self._members([(member, name in required) for member, name in members], False)
        return self._add(f'"{{" {rest} "}}"')

    def _members(self, members: Sequence[tuple[str, bool]], comma: bool) -> str:
        """Return what matches the members in order; the first written has no comma before it."""
        if not members:
            return '""'
        (member, required), rest = members[0], members[1:]
        taken = f"{_quote(', ')} {member}" if comma else member
        after = self._add(self._members(rest, True))
        if required:
            return f"{taken} {after}"
        # After a member both are the same; to work that out twice for each would double the work with every member.
        left_out = after if comma else self._add(self._members(rest, comma))
        return f"({taken} {after} | {left_out})"

    def _array(self, schema: Schema, path: str) -> str:
        item = self._add(self.expression(schema.get("items", {}), f"{path}[]"))
        low, high = _bounds(schema, "minItems", "maxItems", path)
        if high == 0:
            return '"[]"'
        more = _repeat(f"({_quote(', ')} {item})", max(low - 1, 0), high - 1 if high else None)
        filled = f"{item} {more}"
        return self._add(f'"[" {filled} "]"' if low else f'"[" ({filled})? "]"')

    def _reference(self, reference: str, path: str) -> str:
        """Return the rule of a definition, which may contain itself."""
        if reference not in self._references:
            self._references[reference] = name = f"ref-{len(self._references)}"
            self.rules[name] = self.expression(self._find(reference, path), reference)
        return self._references[reference]

    def _find(self, reference: str, path: str) -> Schema:
        found: Any = self._root
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        if not reference.startswith("#/") or not isinstance(found, Mapping):
            raise BadGrammar(f"JSON schema, {path}: {reference} is not in the schema")
        return found

    def _add(self, body: str) -> str:
        """Return the name of a rule with this body."""
        name = next((name for name, known in self.rules.items() if known == body), None)
        if name is None:
            name = f"r{len(self.rules)}"
            self.rules[name] = body
        return name


def _string(schema: Schema, path: str) -> str:
    low, high = _bounds(schema, "minLength", "maxLength", path)
    return f'"\\"" {_repeat("char", low, high)} "\\""'


def _integer(schema: Schema, path: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - 1
    if low is None and high is None:
        return "integer"
    furthest = 10**INTEGER_DIGITS_MAX - 1
    low, high = -furthest if low is None else low, furthest if high is None else high
    if not isinstance(low, int) or not isinstance(high, int) or low > high:
        raise BadGrammar(f"JSON schema, {path}: minimum and maximum leave no whole number")
    parts = []
    if low < 0:
        parts.append(f'"-" ({_range(max(1, -high), -low)})')
    if high >= 0:
        parts.append(_range(max(low, 0), high))
    return f"({' | '.join(parts)})"


def _range(low: int, high: int) -> str:
    """Return what matches the numerals of low..high, neither negative."""
    parts = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        last = min(high, 10**digits - 1)
        parts.append(_same_length(str(first), str(last)))
    return " | ".join(parts)


def _same_length(low: str, high: str) -> str:
    """Return what matches the numerals between two of one length."""
    if len(low) == 1:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" ({_same_length(low[1:], high[1:])})'
    size = len(low) - 1
    first, last = int(low[0]), int(high[0])
    parts = []
    if int(low[1:]) > 0:
        parts.append(f'"{first}" ({_same_length(low[1:], "9" * size)})')
        first += 1
    if high[1:] != "9" * size:
        parts.append(f'"{last}" ({_same_length("0" * size, high[1:])})')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] [0-9]{{{size}}}")
    return " | ".join(parts)


def _bounds(schema: Schema, minimum: str, maximum: str, path: str) -> tuple[int, int | None]:
    low, high = schema.get(minimum, 0), schema.get(maximum)
    for keyword, value in ((minimum, low), (maximum, high)):
        # llama.cpp takes more repetitions than this for "any number", without a word.
        if value is not None and not (isinstance(value, int) and 0 <= value <= REPETITIONS_MAX):
            limits = f"0 to {REPETITIONS_MAX}"
            raise BadGrammar(f"JSON schema, {path}: {keyword} is {value}, not {limits}")
    if high is not None and low > high:
        raise BadGrammar(f"JSON schema, {path}: {minimum} is more than {maximum}")
    return low, high


def _repeat(item: str, low: int, high: int | None) -> str:
    return f"{item}{{{low},{'' if high is None else high}}}"


def _either(options: list[str], path: str) -> str:
    if not options:
        raise BadGrammar(f"JSON schema, {path}: nothing to choose from")
    return f"({' | '.join(options)})"


def _literal(value: Any) -> str:
    return _quote(json.dumps(value, ensure_ascii=False))


def _quote(text: str) -> str:
    """Return a grammar literal of the text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
