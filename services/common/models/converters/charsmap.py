"""Build a sentencepiece "precompiled_charsmap": a double-array trie of UTF-8, with replacements.

A unit is laid out as in darts-clone: bits 0-7 label, 8 has-leaf, 9 wide offset, 10-30 offset; a
leaf has bit 31 set and holds the position of its replacement.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

_END: Final = 0
_NARROW_OFFSETS: Final = 1 << 21
_LEAF: Final = 1 << 31
_HAS_LEAF: Final = 1 << 8
_WIDE: Final = 1 << 9
_LOW_BITS: Final = 0x1FF


@dataclass(slots=True)
class _Node:
    """The nodes after each next byte, and the replacement's position if a key ends here."""

    children: dict[int, "_Node"] = field(default_factory=dict)
    position: int | None = None

    def labels(self) -> list[int]:
        end = [] if self.position is None else [_END]
        return end + list(self.children)


def build_charsmap(replacements: Mapping[str, str]) -> bytes:
    """Return the map that replaces each key (one character, not NUL) by its value."""
    texts, positions = _join_replacements(replacements)
    root = _Node()
    for key, value in sorted(replacements.items()):
        _insert(root, key.encode(), positions[value])
    units = np.array(_DoubleArray().build(root), "<u4").tobytes()
    return struct.pack("<I", len(units)) + units + texts


def _join_replacements(replacements: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """Return the NUL-terminated replacements in the order of their keys, and where each begins."""
    texts, positions = bytearray(), dict[str, int]()
    for _, value in sorted(replacements.items()):
        if value not in positions:
            positions[value] = len(texts)
            texts += value.encode() + b"\0"
    return bytes(texts), positions


def _insert(root: _Node, key: bytes, position: int) -> None:
    node = root
    for label in key:
        node = node.children.setdefault(label, _Node())
    node.position = position


class _DoubleArray:
    """Units of the trie; the child for a label sits at (base of the parent) xor label."""

    def __init__(self) -> None:
        self._units = [0]
        self._used = {0}
        self._bases: set[int] = set()
        self._first_free = 1

    def build(self, root: _Node) -> list[int]:
        waiting = [(root, 0)]
        while waiting:
            node, at = waiting.pop()
            waiting.extend(self._place(node, at))
        return self._units

    def _place(self, node: _Node, at: int) -> list[tuple[_Node, int]]:
        """Give the children of the unit their places; return those that have children too."""
        labels = node.labels()
        base = self._find_base(labels, at)
        self._bases.add(base)
        self._used.update(base ^ label for label in labels)
        self._grow((max(base ^ label for label in labels) | 0xFF) + 1)
        self._units[at] = (self._units[at] & _LOW_BITS) | _encode_offset(base ^ at)
        if node.position is not None:
            self._units[at] |= _HAS_LEAF
            self._units[base ^ _END] = _LEAF | node.position
        for label in node.children:
            self._units[base ^ label] = label
        return [(child, base ^ label) for label, child in node.children.items()]

    def _find_base(self, labels: list[int], at: int) -> int:
        while self._first_free in self._used:
            self._first_free += 1
        free, lowest = self._first_free, min(labels)
        while True:
            base = free ^ lowest
            if free not in self._used and self._fits(labels, base, at):
                return base
            free += 1

    def _fits(self, labels: list[int], base: int, at: int) -> bool:
        offset = base ^ at
        reachable = offset < _NARROW_OFFSETS or not offset & 0xFF
        vacant = base not in self._bases
        return reachable and vacant and all(base ^ label not in self._used for label in labels)

    def _grow(self, size: int) -> None:
        self._units.extend([0] * (size - len(self._units)))


def _encode_offset(offset: int) -> int:
    return offset << 10 if offset < _NARROW_OFFSETS else offset << 2 | _WIDE
