"""As much of PromQL as our alerts are written in, to try them on series without a Prometheus.

`promtool test rules` reads the same file of scenarios, and must come to the same (see alerts.yaml beside this file).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

Labels = frozenset[tuple[str, str]]
Samples = Sequence[tuple[float, float]]
"""Seconds and values, in their order."""
Vector = dict[Labels, float]
LOOKBACK_SECONDS = 300
_NAME = "__name__"
_TOKEN = re.compile(
    r'\s*([a-zA-Z_][\w:]*|\d+(?:\.\d+)?[smhd]?|"[^"]*"|=~|!~|!=|==|>=|<=|[-+*/(){}\[\],=<>])'
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ORDER = (("or",), ("and",), ("==", "!=", ">", "<", ">=", "<="), ("+", "-"), ("*", "/"))
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else (math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)),
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b,
}  # fmt: skip
_MATCHERS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "=~": lambda value, wanted: bool(re.fullmatch(wanted, value)),
    "!~": lambda value, wanted: not re.fullmatch(wanted, value),
}
_FOLDS: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}


def seconds(duration: str) -> float:
    """A duration such as 5m."""
    return float(duration[:-1]) * _UNITS[duration[-1]]


def labels_of(series: str) -> Labels:
    """The labels of a series as it is written, its name among them."""
    name, _, rest = series.partition("{")
    return frozenset({(_NAME, name.strip()), *re.findall(r'(\w+)="([^"]*)"', rest)})


def evaluate(query: str, series: Mapping[Labels, Samples], at: float) -> Vector:
    """What a query gives at a moment."""
    reading = _Reading(query, series, at)
    value = reading.expression(0)
    assert not reading.tokens, reading.tokens
    assert isinstance(value, dict), query
    return value


class _Reading:
    """Reads a query from left to right and computes as it goes."""

    def __init__(self, query: str, series: Mapping[Labels, Samples], at: float) -> None:
        self.tokens = _TOKEN.findall(query)
        assert "".join(self.tokens) == re.sub(r"\s", "", query), query
        self._series, self._at = series, at

    def _take(self, *wanted: str) -> str:
        token = self.tokens.pop(0)
        assert not wanted or token in wanted, (token, wanted)
        return str(token)

    def _next_is(self, *wanted: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in wanted

    def expression(self, level: int) -> Vector | float:
        """What binds at least as tightly as a level of _ORDER."""
        if level == len(_ORDER):
            return self._operand()
        left = self.expression(level + 1)
        while self._next_is(*_ORDER[level]):
            sign, on = self._take(), self._labels("on")
            left = _combined(sign, left, self.expression(level + 1), on)
        return left

    def _labels(self, word: str) -> set[str] | None:
        if not self._next_is(word):
            return None
        self._take(word)
        self._take("(")
        names = set()
        while (token := self._take()) != ")":
            names |= {token} - {","}
        return names

    def _operand(self) -> Vector | float:
        token = self._take()
        if token[0].isdigit():
            return float(token)
        if token == "(":
            return self._closed(self.expression(0))
        if token in _FOLDS:
            by = self._labels("by") or set()
            self._take("(")
            return _folded(_FOLDS[token], by, self._closed(self.expression(0)))
        if self._next_is("("):
            self._take("(")
            return self._closed(self._function(token))
        return self._selected(token)

    def _closed(self, value: Vector | float) -> Vector | float:
        self._take(")")
        return value

    def _function(self, name: str) -> Vector | float:
        if name == "time":
            return self._at
        if name == "rate":
            return self._rates()
        if name == "absent":
            equal = {(k, v) for k, sign, v in self._matchers_ahead() if sign == "="}
            return {} if self.expression(0) else {frozenset(equal): 1.0}
        assert name == "histogram_quantile", name
        share = self.expression(0)
        self._take(",")
        buckets = self.expression(0)
        assert isinstance(share, float)
        assert isinstance(buckets, dict)
        return _quantiles(share, buckets)

    def _matchers_ahead(self) -> list[tuple[str, str, str]]:
        text = "".join(self.tokens[: self.tokens.index(")")])
        return re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', text)

    def _matching(self, name: str) -> dict[Labels, Samples]:
        matchers = []
        if self._next_is("{"):
            self._take("{")
            while (label := self._take()) != "}":
                if label != ",":
                    matchers.append((label, _MATCHERS[self._take()], self._take().strip('"')))
        return {
            labels: samples
            for labels, samples in self._series.items()
            if (_NAME, name) in labels
            and all(fits(dict(labels).get(label, ""), wanted) for label, fits, wanted in matchers)
        }

    def _selected(self, name: str) -> Vector:
        found: Vector = {}
        for labels, samples in self._matching(name).items():
            seen = [v for t, v in samples if self._at - LOOKBACK_SECONDS < t <= self._at]
            # What Prometheus marks as stale is written as not a number here.
            if seen and not math.isnan(seen[-1]):
                found[labels] = seen[-1]
        return found

    def _rates(self) -> Vector:
        """Increase a second between the first and the last sample; Prometheus goes on to the ends of the range."""
        matching = self._matching(self._take())
        self._take("[")
        window = seconds(self._take())
        self._take("]")
        found: Vector = {}
        for labels, samples in matching.items():
            within = [each for each in samples if self._at - window <= each[0] <= self._at]
            seen = [each for each in within if not math.isnan(each[1])]
            if len(seen) > 1:
                grown = sum(v - u if v >= u else v for (_, u), (_, v) in pairwise(seen))
                found[without_name(labels)] = grown / (seen[-1][0] - seen[0][0])
        return found


def without_name(labels: Labels) -> Labels:
    """The labels of a series apart from its name, which no alert keeps."""
    return frozenset(each for each in labels if each[0] != _NAME)


def _folded(
    fold: Callable[[Iterable[float]], float], by: set[str], vector: Vector | float
) -> Vector:
    assert isinstance(vector, dict)
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(frozenset(each for each in labels if each[0] in by), []).append(value)
    return {labels: fold(values) for labels, values in groups.items()}


def _combined(
    sign: str, left: Vector | float, right: Vector | float, on: set[str] | None
) -> Vector | float:
    if isinstance(left, float) and isinstance(right, float):
        return _ARITHMETIC[sign](left, right)

    def key(labels: Labels) -> Labels:
        return frozenset(e for e in labels if (e[0] in on if on is not None else e[0] != _NAME))

    if sign in ("and", "or"):
        assert isinstance(left, dict)
        assert isinstance(right, dict)
        if sign == "and":
            there = {key(labels) for labels in right}
            return {labels: value for labels, value in left.items() if key(labels) in there}
        here = {key(labels) for labels in left}
        return left | {labels: v for labels, v in right.items() if key(labels) not in here}
    found: Vector = {}
    for labels, value, other in _pairs(left, right, key):
        result = _ARITHMETIC[sign](value, other)
        if sign not in _ORDER[2]:
            found[without_name(labels)] = result
        elif result:
            found[labels] = value if isinstance(left, dict) else other
    return found


def _pairs(
    left: Vector | float, right: Vector | float, key: Callable[[Labels], Labels]
) -> Iterable[tuple[Labels, float, float]]:
    """What is computed with what: a number with each series, or series of the same labels."""
    if not isinstance(right, dict):
        assert isinstance(left, dict)
        return [(labels, value, right) for labels, value in left.items()]
    if not isinstance(left, dict):
        return [(labels, left, other) for labels, other in right.items()]
    others = {key(labels): other for labels, other in right.items()}
    both = {labels: value for labels, value in left.items() if key(labels) in others}
    return [(labels, value, others[key(labels)]) for labels, value in both.items()]


def _quantiles(share: float, buckets: Vector) -> Vector:
    """As Prometheus does, on a line within the bucket."""
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"].replace("+Inf", "inf"))
        rest = frozenset(each for each in labels if each[0] not in ("le", _NAME))
        groups.setdefault(rest, []).append((bound, count))
    found: Vector = {}
    for labels, unordered in groups.items():
        counts = sorted(unordered)
        wanted = share * counts[-1][1]
        if not wanted:
            found[labels] = math.nan
            continue
        lower = below = 0.0
        for bound, count in counts:
            if count >= wanted:
                inside = lower + (bound - lower) * (wanted - below) / (count - below)
                found[labels] = lower if math.isinf(bound) else inside
                break
            lower, below = bound, count
    return found
