"""An embedding model behind an OpenAI-compatible URL, where all that is answered is checked."""

import asyncio
import hashlib
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
from pydantic import Field, SecretStr

from services.common.endpoint import Endpoint, read_key
from services.common.errors import (
    InvalidSetting,
    ItemFailed,
    ModelError,
    ModelUnavailable,
    Unanswered,
)
from services.common.llama.batching import cut_evenly
from services.common.settings import OptionalPath, Settings
from services.common.vectors import DIMENSIONS_MAX, Matrix
from services.embedder.blaming import FAILURES_ALONE, Reading, Row
from services.embedder.embedding import ListsFailed, Tokens, UnusableVectors
from services.embedder.generations import ModelIdentity
from services.embedder.models import LoadedModel

PREFIX: Final = "openai:"
ANSWER_BYTES_MAX: Final = 32 << 20
CHARACTERS_MIN: Final = 256
COSINE_MIN: Final = 0.999
# Letters of another script and hashes: more tokens than the same length of prose, and a model reads only so many.
_DENSE: Final = "Чому впав деплой 9f86d081884c? "
# Two texts that differ at their end alone and have the same vector were not read to it.
_CUT_COSINE: Final = 1 - 1e-6
# What reading an answer raises that is not what it should be.
_NO_VECTORS: Final = (
    ValueError,
    ArithmeticError,
    RecursionError,
    LookupError,
    TypeError,
    AttributeError,
)
_PROBES: Final = (
    "ok",
    "The deploy failed again: migration 0042 waits for a lock.",
    "Хто знає, чому впав деплой?",
)


class RemoteSettings(Settings):
    """Where an embedding model is that does not run in this process, and how much it is asked at a time."""

    embedding_url: str = Field(default="", description="for example http://127.0.0.1:11434/v1")
    embedding_api_key: SecretStr = SecretStr("")
    embedding_api_key_file: OptionalPath = None
    embedding_timeout_seconds: float = Field(default=60, gt=0)
    embedding_batch_max: int = Field(default=64, ge=1, le=2048, description="texts a call")
    embedding_calls_max: int = Field(
        default=2, ge=1, le=64, description="calls at once, queries apart"
    )
    embedding_characters_max: int = Field(
        default=2000, ge=CHARACTERS_MIN, le=100_000, description="longer texts are read in parts"
    )


class RemoteEncoder:
    """Speaks to `POST /embeddings`; tokens are the characters of a text, since only the provider knows its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        asked_dimensions: int | None,
        settings: RemoteSettings,
    ) -> None:
        self._endpoint, self._model, self._asked = endpoint, model, asked_dimensions
        self._batch_max = settings.embedding_batch_max
        self._calls = asyncio.Semaphore(settings.embedding_calls_max)
        # Held around the other, so that nothing that can wait stands in its queue before what cannot.
        self._patient_calls = asyncio.Semaphore(settings.embedding_calls_max)
        self.context_tokens = settings.embedding_characters_max
        self.dimensions = asked_dimensions or 0

    def split_texts(self, texts: Sequence[str], prefix: str = "") -> list[list[Tokens]]:
        """Return the characters of each text in parts, each after the prefix; none is lost."""
        room = self.context_tokens - len(prefix)
        return [[_tokens(prefix + part) for part in _cut(text, room)] for text in texts]

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return one unit vector for each list, shape (lists, dimensions); queries are not held up by other calls.

        What can wait lets all others go first, but for the calls that are under way.

        Raises ModelUnavailable for a provider's fault, and ListsFailed for texts that it refuses, answers badly or does
        not answer though it reads others; with what is urgent nobody waits until that is found out.
        """
        texts = ["".join(map(chr, tokens.tolist())) for tokens in token_lists]
        batches = [
            texts[start : start + self._batch_max]
            for start in range(0, len(texts), self._batch_max)
        ]
        read = self._read_at_last if can_wait else self._read_in_turn
        calls = [
            asyncio.ensure_future(self._ask_urgently(batch) if urgent else read(batch))
            for batch in batches
        ]
        try:
            found = await asyncio.gather(*calls)
        finally:
            # After a failure nobody wants the others, least of all a provider that asks to be left alone.
            for each in calls:
                each.cancel()
        return self._stacked(list(itertools.chain.from_iterable(found)))

    def _stacked(self, found: Sequence[Row | ItemFailed]) -> Matrix:
        """Return rows as one array; ListsFailed if some are none."""
        failures = {place: row for place, row in enumerate(found) if isinstance(row, ItemFailed)}
        vectors = np.zeros((len(found), self.dimensions), np.float32)
        for place, row in enumerate(found):
            if not isinstance(row, ItemFailed):
                vectors[place] = row
        if failures:
            raise ListsFailed(vectors, failures)
        return vectors

    async def check(self) -> float:
        """Find the dimensions and how much is read, and return the worst cosine between texts together and alone.

        Raises ModelError for a model that cannot be used.
        """
        together = await self._ask(list(_PROBES))
        self.dimensions = together.shape[1]
        alone = np.concatenate([await self._ask([text]) for text in _PROBES])
        cosine = float(np.sum(together * alone, axis=1).min())
        if not cosine >= COSINE_MIN:
            raise ModelError(
                f"{self._endpoint.host}: texts of {self._model} sent together agree with single ones only to "
                f"{cosine:.5f}; {COSINE_MIN} is needed"
            )
        while not await self._reads(self.context_tokens):
            if self.context_tokens <= CHARACTERS_MIN:
                raise ModelError(
                    f"{self._endpoint.host}: {self._model} reads less than {CHARACTERS_MIN} characters of a text"
                )
            self.context_tokens = max(CHARACTERS_MIN, self.context_tokens // 2)
        return cosine

    async def _reads(self, characters: int) -> bool:
        """Whether a text so long is read to its end."""
        beginning = (_DENSE * characters)[: characters - characters // 32]
        texts = [(beginning + end * characters)[:characters] for end in ("кішка ", "lock 0042 ")]
        for _ in range(FAILURES_ALONE):
            try:
                vectors = await self._ask(texts)
            except ItemFailed:
                return False
            except Unanswered as error:
                # llama-server answers what is longer than its batch as if it were at fault itself.
                if error.was_silent:
                    raise
                await self._probe()
            else:
                return float(vectors[0] @ vectors[1]) < _CUT_COSINE
        return False

    async def _ask_urgently(self, texts: list[str]) -> list[Row | ItemFailed]:
        return list(await self._ask_alike(texts))

    async def _read_in_turn(self, texts: list[str]) -> list[Row | ItemFailed]:
        async with self._calls:
            return await Reading(self._ask_alike, self._probe, texts).run()

    async def _read_at_last(self, texts: list[str]) -> list[Row | ItemFailed]:
        async with self._patient_calls:
            return await self._read_in_turn(texts)

    async def _ask_alike(self, texts: list[str]) -> Matrix:
        """Ask for vectors; ModelUnavailable if they are another model's."""
        try:
            return await self._ask(texts)
        except OtherLength as error:
            raise self._blamed(f"{error}: another model goes by that name now") from error

    async def _probe(self) -> None:
        """Raise ModelUnavailable if the provider does not read a short text, which no cache has an answer for."""
        try:
            await self._ask_alike([f"{_PROBES[0]} {secrets.token_hex(4)}"])
        except (ItemFailed, Unanswered) as error:
            raise self._blamed(str(error)) from error

    def _blamed(self, what: str) -> ModelUnavailable:
        return ModelUnavailable(f"{self._endpoint.host}, model {self._model}: {what}")

    async def _ask(self, texts: list[str]) -> Matrix:
        body: dict[str, Any] = {"model": self._model, "input": texts, "encoding_format": "float"}
        if self._asked:
            body["dimensions"] = self._asked
        answer = await self._endpoint.post(body)
        return read_vectors(answer, len(texts), self.dimensions or None)


class OtherLength(UnusableVectors):
    """Vectors are sound but of another length than the model's, which no text can bring about."""

    def __init__(self, found: Sequence[int], wanted: int) -> None:
        lengths = " and ".join(map(str, found))
        super().__init__(f"the provider gave vectors of {lengths} numbers, not of {wanted}")


def read_vectors(answer: bytes, count: int, dimensions: int | None) -> Matrix:
    """Read an answer into unit vectors in the order that was asked.

    Raises OtherLength for vectors that a model of so many dimensions does not give, and UnusableVectors for anything
    else that is not that.
    """
    try:
        data = json.loads(answer)["data"]
        places = [item.get("index", place) for place, item in enumerate(data)]
        rows = [item["embedding"] for item in data]
        if any(type(place) is not int for place in places) or sorted(places) != list(range(count)):
            raise UnusableVectors(
                f"the provider answered {len(rows)} vectors for {count} texts, or misnumbered"
            )
        _check_lengths(rows, dimensions)
        vectors = np.array(rows, np.float64)
    except _NO_VECTORS as error:
        raise UnusableVectors("the provider's answer is no list of vectors") from error
    if vectors.ndim != 2:
        raise UnusableVectors(f"the provider gave vectors of shape {vectors.shape}")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms == 0).any():
        raise UnusableVectors("the provider gave a vector that is not finite or has no direction")
    ordered = np.empty_like(vectors)
    ordered[places] = vectors / norms
    return ordered.astype(np.float32)


def _check_lengths(rows: Sequence[Any], dimensions: int | None) -> None:
    """Raise OtherLength if any vector has numbers, but not as many as the model's have."""
    found = {len(row) for row in rows if isinstance(row, list) and row}
    if dimensions is not None and found - {dimensions}:
        raise OtherLength(sorted(found), dimensions)


class RemoteModels:
    """Opens the models behind WINNOW_EMBEDDING_URL: `openai:NAME`, or `openai:NAME@256` for fewer dimensions."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings

    @asynccontextmanager
    async def open(self, reference: str) -> AsyncIterator[LoadedModel]:
        """Find the provider and check the model; ModelError, ModelUnavailable or InvalidSetting."""
        settings = self._settings
        name, _, asked = reference.removeprefix(PREFIX).partition("@")
        if not settings.embedding_url:
            raise ModelError(f"{reference}: set WINNOW_EMBEDDING_URL to where the model is")
        if asked and not _is_number_of_dimensions(asked):
            raise ModelError(
                f"{reference}: what follows @ is a number of dimensions, 1 to {DIMENSIONS_MAX}"
            )
        key = read_key(
            settings.embedding_api_key,
            settings.embedding_api_key_file,
            "WINNOW_EMBEDDING_API_KEY",
        )
        timeout = settings.embedding_timeout_seconds
        endpoint = Endpoint(
            settings.embedding_url,
            "/embeddings",
            key,
            timeout,
            ANSWER_BYTES_MAX,
            "WINNOW_EMBEDDING",
        )
        encoder = RemoteEncoder(endpoint, name, int(asked) if asked else None, settings)
        started = time.perf_counter()
        try:
            cosine = await encoder.check()
        except ItemFailed as error:
            raise ModelError(f"{reference}: {error}") from error
        rate = 2 * len(_PROBES) / (time.perf_counter() - started)
        # There is no file to hash: the same name at the same address is taken to be the same model.
        digest = hashlib.sha256(f"{settings.embedding_url}\n{name}\n{asked}".encode()).hexdigest()
        identity = ModelIdentity(
            reference, digest, encoder.dimensions, "provider", "", "", reference
        )
        yield LoadedModel(identity, encoder, rate, endpoint.host, cosine)


def _is_number_of_dimensions(text: str) -> bool:
    """Whether a text is a number, as people write one, that a vector can have of dimensions."""
    short = text.isascii() and text.isdigit() and len(text) <= len(str(DIMENSIONS_MAX))
    return short and 1 <= int(text) <= DIMENSIONS_MAX


def _tokens(text: str) -> Tokens:
    return np.array([ord(character) for character in text], np.int32)


def _cut(text: str, room: int) -> list[str]:
    """Cut a text into parts of at most so many characters, near ends of sentences or words."""
    if room < 1:
        raise InvalidSetting("WINNOW_EMBEDDING_CHARACTERS_MAX: leaves no room after the prefix")

    def rank(at: int) -> int:
        return 1 + (text[at - 2 : at - 1] in ".!?…") if text[at - 1].isspace() else 0

    cuts = [0, *cut_evenly(len(text), room, rank), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]
