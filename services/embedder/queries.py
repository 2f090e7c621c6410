"""Embeds what people search for, ahead of everything else, and remembers what they asked lately."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.common import metrics
from services.common.errors import ItemFailed, ModelError, ModelUnavailable
from services.embedder.embedding import Encoder, embed_texts
from services.embedder.generations import Generation, Generations

Role = Literal["query", "passage"]
Key = tuple[UUID, Role, str]


@dataclass(frozen=True)
class TextVector:
    """The vector of a whole text, and how many tokens were read for it."""

    values: npt.NDArray[np.float32]
    tokens: int


class RecentVectors:
    """The vectors used last, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._vectors: OrderedDict[Key, TextVector] = OrderedDict()

    def get(self, key: Key) -> TextVector | None:
        """Return a vector that is remembered, and remember it longer."""
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    def put(self, key: Key, vector: TextVector) -> None:
        """Remember a vector; the one used longest ago is forgotten."""
        self._vectors[key] = vector
        self._vectors.move_to_end(key)
        while len(self._vectors) > self._size:
            self._vectors.popitem(last=False)


class QueryEmbedder:
    """Embeds texts with the model that searches use, or with that of another live generation."""

    def __init__(self, generations: Generations, remembered_max: int) -> None:
        self._generations = generations
        self._recent = RecentVectors(remembered_max)

    async def embed(
        self, texts: Sequence[str], role: Role, wanted: UUID | None = None
    ) -> tuple[Generation, list[TextVector]]:
        """Return a vector for each text, in order, and the generation that they can be compared with."""
        generation, encoder = await self._generations.wanted(wanted)
        vectors = self._recall(generation, texts, role)
        new = [text for text in texts if text not in vectors]
        metrics.QUERY_VECTORS.labels("memory").inc(len(vectors))
        metrics.QUERY_VECTORS.labels("model").inc(len(new))
        for text, vector in zip(new, await _embed(generation, encoder, new, role), strict=True):
            vectors[text] = vector
            self._recent.put((generation.id, role, text), vector)
        return generation, [vectors[text] for text in texts]

    def _recall(
        self, generation: Generation, texts: Sequence[str], role: Role
    ) -> dict[str, TextVector]:
        found = {text: self._recent.get((generation.id, role, text)) for text in texts}
        return {text: vector for text, vector in found.items() if vector is not None}


async def _embed(
    generation: Generation, encoder: Encoder, texts: Sequence[str], role: Role
) -> list[TextVector]:
    if not texts:
        return []
    model = generation.model
    prefix = model.query_prefix if role == "query" else model.passage_prefix
    try:
        embedded = await embed_texts(encoder, texts, prefix, urgent=True)
    except (ItemFailed, ModelError) as error:
        raise ModelUnavailable(str(error)) from error
    # A copy: what is remembered would keep all that was read beside it.
    return [TextVector(vectors.rows[0].copy(), vectors.tokens) for vectors in embedded]
