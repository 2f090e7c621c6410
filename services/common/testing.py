"""Fakes that ship with the product: each passes the same contract suite as what it stands for."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.common.vectors import Matrix

Tokens = npt.NDArray[np.int32]


class FakeEncoder:
    """A model without meaning: a token a character, and a unit vector that depends on the tokens alone."""

    def __init__(self, dimensions: int = 384, context_tokens: int = 512) -> None:
        self.dimensions = dimensions
        self.context_tokens = context_tokens

    def split_texts(self, texts: Sequence[str], prefix: str = "") -> list[list[Tokens]]:
        """Return the characters of each text in parts of equal length, each after the prefix."""
        room = self.context_tokens - len(prefix)
        return [
            [
                _tokens(prefix + text[start : start + room])
                for start in range(0, max(1, len(text)), room)
            ]
            for text in texts
        ]

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return a vector for each list, shape (lists, dimensions)."""
        vectors = [self._vector(tokens) for tokens in token_lists]
        return np.array(vectors, np.float32).reshape(len(vectors), self.dimensions)

    def _vector(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(tokens.tobytes()).digest()[:8])
        values = np.random.default_rng(seed).standard_normal(self.dimensions)
        unit: npt.NDArray[np.float32] = (values / np.linalg.norm(values)).astype(np.float32)
        return unit


def spell(tokens: Tokens) -> str:
    """Return the text that FakeEncoder made the tokens of."""
    return "".join(map(chr, tokens.tolist()))


def _tokens(text: str) -> Tokens:
    return np.array([ord(character) for character in text], np.int32)
