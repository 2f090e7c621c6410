"""Speaks to llama.cpp: weights, contexts and grammars, each owned and closed.

None of these objects locks: a context and a grammar belong to one thread at a time.
"""

import ctypes
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import llama_cpp.llama_cpp as c
import numpy as np
import numpy.typing as npt
from jinja2 import TemplateError
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from services.common.llama.computing import Caller, Companion, Computer
from services.common.llama.errors import (
    BadGrammar,
    BadTemplate,
    ComputeFailed,
    LoadFailed,
    ModelClosed,
)
from services.common.llama.processor import find_keep_for_encoding, forward_log

Tokens = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]

SEQUENCES_MAX: Final = 64
PIECE_BYTES: Final = 256

_CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_POINTER_32: Final = ctypes.POINTER(ctypes.c_int32)


@functools.cache
def _start() -> None:
    """Start llama.cpp once in the process, its messages going to the log instead of stderr."""
    c.llama_log_set(forward_log, ctypes.c_void_p(0))
    c.llama_backend_init()


_keep_for_encoding: Final = find_keep_for_encoding()
_loading: Final = threading.Lock()


def encodes_in_bytes() -> bool:
    """Return whether weights can be kept in 8 bits, which x86-64 processors with AVX2 multiply soonest."""
    return _keep_for_encoding is not None


def load_model(path: Path, in_bytes: bool) -> Any:
    """Load a file, None if llama.cpp refuses it; how weights are kept holds for all that is loaded meanwhile."""
    with _loading:
        if _keep_for_encoding:
            _keep_for_encoding(in_bytes)
        try:
            return c.llama_model_load_from_file(str(path).encode(), c.llama_model_default_params())
        finally:
            if _keep_for_encoding:
                _keep_for_encoding(False)


class Weights:
    """A loaded model file and its vocabulary; any number of contexts share it."""

    def __init__(self, path: Path, *, in_bytes: bool = False) -> None:
        """Load the file; for encoding, keep its weights in 8 bits where that is possible; LoadFailed."""
        _start()
        model = load_model(path, in_bytes)
        vocabulary = c.llama_model_get_vocab(model) if model else None
        if model is None or vocabulary is None:
            raise LoadFailed(path, "llama.cpp refuses it")
        self.path = path
        self.handle = model
        self.vocabulary = vocabulary
        self.dimensions = int(c.llama_model_n_embd(model))
        self.context_tokens = int(c.llama_model_n_ctx_train(model))
        self._closed = False
        self.vocabulary_size = int(c.llama_vocab_n_tokens(vocabulary))

    def close(self) -> None:
        """Free the memory; every context over these weights must be closed before."""
        if not self._closed:
            self._closed = True
            c.llama_model_free(self.handle)

    def tokenize(self, text: str, *, special: bool, markup: bool = False) -> Tokens:
        """Return all tokens of the text; `special` adds the model's own at the ends.

        Only with `markup` are control tokens recognised in the text itself.
        """
        if self._closed:
            raise ModelClosed(self.path)
        data = text.encode("utf-8", "replace")
        tokens = np.empty(len(data) + 8, np.int32)
        count = self._tokenize_into(tokens, data, special, markup)
        if count < 0:
            tokens = np.empty(-count, np.int32)
            count = self._tokenize_into(tokens, data, special, markup)
        return tokens[:count].copy()

    def _tokenize_into(self, tokens: Tokens, data: bytes, special: bool, markup: bool) -> int:
        target: Any = tokens.ctypes.data_as(_POINTER_32)
        size = len(tokens)
        found = c.llama_tokenize(self.vocabulary, data, len(data), target, size, special, markup)
        return int(found)

    def piece(self, token: int) -> bytes:
        """Return what the token adds to a text; control tokens add nothing."""
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        size = c.llama_token_to_piece(self.vocabulary, token, buffer, PIECE_BYTES, 0, False)
        return buffer.raw[: max(size, 0)]

    def spelling(self, token: int) -> str:
        """Return the token as the vocabulary spells it, with its mark of a word's start."""
        text = c.llama_vocab_get_text(self.vocabulary, token)
        return str(text, "utf-8", "replace")

    def ends_text(self, token: int) -> bool:
        """Return whether the token says that the text is complete."""
        return bool(c.llama_vocab_is_eog(self.vocabulary, token))

    def chat_template(self) -> str | None:
        """Return the chat template that the file carries, in Jinja, or None."""
        template = c.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None

    def start_token(self) -> int:
        """Return the token that begins a text; negative if the model has none."""
        return int(c.llama_vocab_bos(self.vocabulary))

    def end_token(self) -> int:
        """Return the token that ends a text; negative if the model has none."""
        return int(c.llama_vocab_eos(self.vocabulary))

    def with_start(self, tokens: list[int]) -> list[int]:
        """Return the tokens with the start token before them if the model wants one there."""
        start = self.start_token()
        wanted = c.llama_vocab_get_add_bos(self.vocabulary) and tokens[:1] != [start]
        return [start, *tokens] if wanted else tokens


class _Batch:
    """Room for the tokens of one call, laid out in arrays that are written at a stroke."""

    def __init__(self, size: int) -> None:
        self.tokens = np.zeros(size, np.int32)
        self.positions = np.zeros(size, np.int32)
        self.sequences = np.zeros(size, np.int32)
        self.outputs = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        self._addresses = self.sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self.native = cast(Any, c.llama_batch())
        self.native.token = self.tokens.ctypes.data_as(_POINTER_32)
        self.native.pos = self.positions.ctypes.data_as(_POINTER_32)
        self.native.n_seq_id = self._counts.ctypes.data_as(_POINTER_32)
        self.native.seq_id = self._addresses.ctypes.data_as(ctypes.POINTER(_POINTER_32))
        self.native.logits = self.outputs.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))


class EncodingContext:
    """Turns up to SEQUENCES_MAX token lists, packed into one batch, into their pooled vectors."""

    def __init__(
        self,
        weights: Weights,
        tokens_max: int,
        threads: int,
        mean_pooling: bool,
        *,
        steps_back: bool = False,
    ) -> None:
        self._dimensions = weights.dimensions
        parameters = _context_parameters(tokens_max, tokens_max, threads)
        # llama.cpp aborts the process when there are more sequences than tokens.
        parameters.n_seq_max = min(SEQUENCES_MAX, tokens_max)
        parameters.embeddings = True
        parameters.kv_unified = True
        if mean_pooling:
            parameters.pooling_type = c.LLAMA_POOLING_TYPE_MEAN
        self._handle, self._computer = _open_context(weights, parameters, steps_back)
        self._memory = c.llama_get_memory(self._handle)
        self._batch = _Batch(tokens_max)
        self._batch.outputs[:] = 1

    def close(self) -> None:
        """Free the memory."""
        self._computer.close()
        c.llama_free(self._handle)

    def encode(self, token_lists: Sequence[Tokens]) -> Vectors:
        """Return one unit vector per list, shape (lists, dimensions); ComputeFailed otherwise."""
        self._fill(token_lists)
        self._compute()
        vectors = np.stack([self._vector(index) for index in range(len(token_lists))])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.all(np.isfinite(norms)) or np.any(norms == 0):
            raise ComputeFailed("the model gave a vector that is not finite or has no direction")
        unit: Vectors = (vectors / norms).astype(np.float32)
        return unit

    def _fill(self, token_lists: Sequence[Tokens]) -> None:
        start, batch = 0, self._batch
        for index, tokens in enumerate(token_lists):
            end = start + len(tokens)
            batch.tokens[start:end] = tokens
            batch.positions[start:end] = np.arange(len(tokens))
            batch.sequences[start:end] = index
            start = end
        batch.native.n_tokens = start

    def _compute(self) -> None:
        if self._memory:
            c.llama_memory_clear(self._memory, False)
        status = self._computer.compute(self._batch.native)
        if status != 0:
            raise ComputeFailed(f"llama.cpp could not encode the batch (status {status})")

    def _vector(self, sequence: int) -> Vectors:
        pointer: Any = c.llama_get_embeddings_seq(self._handle, sequence)
        if not pointer:
            raise ComputeFailed("the model gives no vector for a text")
        return np.ctypeslib.as_array(pointer, shape=(self._dimensions,)).copy()


class TextContext:
    """One growing text; feeding a text that begins like the last one computes only the rest."""

    def __init__(
        self,
        weights: Weights,
        tokens_max: int,
        batch_tokens: int,
        threads: int,
        *,
        steps_back: bool = False,
    ) -> None:
        self.tokens_max = tokens_max
        self._batch_tokens = batch_tokens
        self._vocabulary_size = weights.vocabulary_size
        parameters = _context_parameters(tokens_max, batch_tokens, threads)
        self._handle, self._computer = _open_context(weights, parameters, steps_back)
        self._memory = c.llama_get_memory(self._handle)
        self._batch = _Batch(batch_tokens)
        self._held: list[int] = []

    def close(self) -> None:
        """Free the memory."""
        self._computer.close()
        c.llama_free(self._handle)

    @property
    def held(self) -> int:
        """How many tokens have been read and written."""
        return len(self._held)

    def rewind(self, tokens: Sequence[int]) -> int:
        """Forget what differs from these tokens; return how many of them are already held.

        The last token is never held, so that feeding the rest gives its scores.
        """
        same = common_prefix(self._held, tokens[:-1])
        if not c.llama_memory_seq_rm(self._memory, 0, same, -1):
            c.llama_memory_clear(self._memory, False)
            same = 0
        self._held = self._held[:same]
        return same

    def feed(self, tokens: Sequence[int], cancelled: Callable[[], bool]) -> Vectors | None:
        """Append the tokens; return the scores of what may follow, shape (vocabulary,).

        None if `cancelled` said so between two batches.
        """
        for start in range(0, len(tokens), self._batch_tokens):
            if cancelled():
                return None
            self._append(tokens[start : start + self._batch_tokens])
        pointer: Any = c.llama_get_logits_ith(self._handle, -1)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary_size,)).copy()

    def _append(self, tokens: Sequence[int]) -> None:
        count, batch = len(tokens), self._batch
        batch.tokens[:count] = tokens
        batch.positions[:count] = np.arange(len(self._held), len(self._held) + count)
        batch.outputs[:count] = 0
        batch.outputs[count - 1] = 1
        batch.native.n_tokens = count
        status = self._computer.compute(batch.native)
        if status != 0:
            self._held = []
            c.llama_memory_clear(self._memory, False)
            raise ComputeFailed(f"llama.cpp could not read the text (status {status})")
        self._held.extend(tokens)


class Grammar:
    """What a text under construction may still become, in llama.cpp's GBNF notation."""

    def __init__(self, weights: Weights, notation: str) -> None:
        sampler = c.llama_sampler_init_grammar(weights.vocabulary, notation.encode(), b"root")
        if not sampler:
            raise BadGrammar("llama.cpp does not accept the grammar")
        self._sampler = sampler

    def close(self) -> None:
        """Free the memory."""
        c.llama_sampler_free(self._sampler)

    def mask(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which of the tokens may come next."""
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        data = candidates.ctypes.data_as(ctypes.POINTER(c.llama_token_data))
        listed: Any = c.llama_token_data_array(data, len(tokens), -1, False)
        c.llama_sampler_apply(self._sampler, ctypes.byref(listed))
        allowed: npt.NDArray[np.bool_] = np.isfinite(candidates["logit"])
        return allowed

    def accept(self, token: int) -> None:
        """Go on to the state after the token, which the mask must have allowed."""
        c.llama_sampler_accept(self._sampler, token)


def render_template(weights: Weights, template: str, turns: Sequence[tuple[str, str]]) -> str:
    """Return the Jinja chat template filled with (role, content) turns; BadTemplate."""
    start, end = weights.start_token(), weights.end_token()
    messages: Any = [{"role": role, "content": content} for role, content in turns]
    try:
        formatter = Jinja2ChatFormatter(
            template=template,
            eos_token=weights.spelling(end) if end >= 0 else "",
            bos_token=weights.spelling(start) if start >= 0 else "",
        )
        return formatter(messages=messages).prompt
    except (TemplateError, ValueError, TypeError) as error:
        raise BadTemplate(f"model file {weights.path}: its chat template says: {error}") from error


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many leading tokens two lists share."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length


def _context_parameters(tokens: int, batch_tokens: int, threads: int) -> Any:
    parameters = c.llama_context_default_params()
    parameters.n_ctx = tokens
    parameters.n_batch = parameters.n_ubatch = batch_tokens
    parameters.n_threads = parameters.n_threads_batch = threads
    return parameters


def _open_context(weights: Weights, parameters: Any, steps_back: bool) -> tuple[Any, Computer]:
    handle = c.llama_init_from_model(weights.handle, parameters)
    if handle is None:
        raise LoadFailed(weights.path, "llama.cpp cannot make a context of that size")
    try:
        return handle, Companion(handle) if steps_back else Caller(handle)
    except OSError as error:
        c.llama_free(handle)
        raise LoadFailed(weights.path, str(error)) from error
