"""JSON schemas as grammars, judged by matching them without a model."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.llama.errors import BadGrammar
from services.common.llama.json_grammar import schema_to_grammar


class Matcher:
    """Matches texts against the part of GBNF that the grammars use."""

    _TOKEN = re.compile(
        r'\s*(?:("(?:\\.|[^"\\])*")|(\[(?:\\.|[^\]\\])*\])|(\{\d+,?\d*\})|([\w-]+)|([()|*?]))'
    )

    def __init__(self, grammar: str) -> None:
        lines = (line.split(" ::= ", 1) for line in grammar.split("\n"))
        self._rules = {name: self._parse(body) for name, body in lines}

    def matches(self, text: str) -> bool:
        """Return whether the whole text is in the language."""
        return len(text) in self._match(("rule", "root"), text, 0)

    def _parse(self, body: str) -> Any:
        tokens, at = [], 0
        while found := self._TOKEN.match(body, at):
            tokens.append(found[0].strip())
            at = found.end()
        assert not body[at:].strip(), body
        tree, rest = self._alternatives(tokens)
        assert not rest, body
        return tree

    def _alternatives(self, tokens: list[str]) -> tuple[Any, list[str]]:
        options: list[Any] = [[]]
        while tokens and tokens[0] != ")":
            token, tokens = tokens[0], tokens[1:]
            if token == "|":
                options.append([])
            elif token == "(":
                inner, tokens = self._alternatives(tokens)
                options[-1].append(inner)
                tokens = tokens[1:]
            elif token == "?":
                options[-1].append(("repeat", options[-1].pop(), 0, 1))
            elif token.startswith("{"):
                low, comma, high = token[1:-1].partition(",")
                top = int(high) if high else (10**6 if comma else int(low))
                options[-1].append(("repeat", options[-1].pop(), int(low), top))
            elif token.startswith('"'):
                text = re.sub(r'\\(["\\])', r"\1", token[1:-1])
                options[-1].append(("text", text))
            elif token.startswith("["):
                options[-1].append(("set", re.compile(token)))
            else:
                options[-1].append(("rule", token))
        return ("or", options), tokens

    def _match(self, node: Any, text: str, at: int) -> set[int]:
        kind, value = node[0], node[1]
        if kind == "text":
            return {at + len(value)} if text.startswith(value, at) else set()
        if kind == "set":
            return {at + 1} if at < len(text) and value.match(text[at]) else set()
        if kind == "rule":
            return self._match(self._rules[value], text, at)
        if kind == "or":
            return {end for option in value for end in self._sequence(option, text, at)}
        return self._repeat(node, text, at)

    def _sequence(self, nodes: list[Any], text: str, at: int) -> set[int]:
        ends = {at}
        for node in nodes:
            ends = {end for start in ends for end in self._match(node, text, start)}
        return ends

    def _repeat(self, node: Any, text: str, at: int) -> set[int]:
        _, inner, low, high = node
        found = {at} if low == 0 else set()
        ends, count = {at}, 0
        while ends and count < high:
            count += 1
            ends = {end for start in ends for end in self._match(inner, text, start)} - found
            if count >= low:
                found |= ends
        return found


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Return whether the grammar of the schema has the value, written as json.dumps does."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Matcher(schema_to_grammar(schema)).matches(text)


ATOM = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["problem", "рішення"]},
        "text": {"type": "string", "minLength": 1, "maxLength": 12},
        "ids": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": 12},
            "maxItems": 3,
        },
        "sure": {"type": ["boolean", "null"]},
    },
    "required": ["kind", "ids"],
}


@given(st.integers(-999, 1200), st.integers(-999, 1200), st.integers(-1300, 1300))
def test_whole_numbers_keep_their_range(one: int, other: int, value: int) -> None:
    """Exactly the numbers from minimum to maximum are in the grammar."""
    low, high = sorted((one, other))
    schema = {"type": "integer", "minimum": low, "maximum": high}
    assert accepts(schema, value) == (low <= value <= high)


def test_objects_have_their_members_and_no_others() -> None:
    """Required members must be there, optional ones may be, in order and without leading commas."""
    assert accepts(ATOM, {"kind": "problem", "ids": []})
    assert accepts(ATOM, {"kind": "рішення", "text": "так", "ids": [1, 12], "sure": None})
    assert not accepts(ATOM, {"kind": "problem"})
    assert not accepts(ATOM, {"kind": "problem", "ids": [], "more": 1})
    optional = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}}
    for value in ({}, {"a": None}, {"b": None}, {"a": None, "b": None}):
        assert accepts(optional, value)


def test_arrays_keep_their_limits() -> None:
    """Arrays have between minItems and maxItems values."""
    schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}
    assert [accepts(schema, [True] * count) for count in range(5)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert accepts({"type": "array", "items": {"type": "null"}, "maxItems": 0}, [])


def test_strings_parse_and_hold_no_control_characters() -> None:
    """Quotes and line feeds appear only escaped; raw control characters and \\u do not appear."""
    schema = {"type": "string"}
    assert accepts(schema, r'"a \"quoted\" word\n and \\ so on"')
    assert accepts(schema, '"Привіт 👋"')
    assert not accepts(schema, '"line\nfeed"')
    assert not accepts(schema, r'"\ud800"')
    assert not accepts(schema, '"open')


def test_lengths_count_characters() -> None:
    """minLength and maxLength count characters of any script."""
    schema = {"type": "string", "minLength": 2, "maxLength": 3}
    assert [accepts(schema, f'"{"ї" * count}"') for count in range(5)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_unions_and_references_hold() -> None:
    """anyOf, const and references into the schema, even to itself, are followed."""
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"anyOf": [{"const": "x"}, {"type": "number"}]},
                    "next": {"$ref": "#/$defs/node"},
                },
                "required": ["value"],
            }
        },
    }
    assert accepts(schema, {"value": "x", "next": {"value": 1.5}})
    assert not accepts(schema, {"value": "y"})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "date"}, "root: type 'date' is not supported"),
        ({"type": "string", "pattern": "a+"}, "root: pattern is not supported"),
        ({"type": "object", "properties": {"a": {}}}, "root.a: type None is not supported"),
        ({"type": "object", "required": ["a"]}, "required 'a' has no schema"),
        ({"type": "string", "maxLength": 2000}, "maxLength is 2000"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "leave no whole number"),
        ({"$ref": "#/$defs/none"}, "is not in the schema"),
        ({"enum": []}, "nothing to choose from"),
    ],
)
def test_what_cannot_be_held_is_refused(schema: dict[str, Any], message: str) -> None:
    """A schema that the grammar could not enforce is an error that names the place."""
    with pytest.raises(BadGrammar, match=re.escape(message)):
        schema_to_grammar(schema)


def test_many_optional_members_are_no_more_work_than_their_number() -> None:
    """Sixty members that may all be absent make a grammar at once: what follows each is worked out once."""
    names = [f"m{number}" for number in range(60)]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}}
    matcher = Matcher(schema_to_grammar(schema))
    assert matcher.matches('{"m3": true, "m59": false}')
    assert not matcher.matches('{"m59": false, "m3": true}')
