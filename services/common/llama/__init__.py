"""Models in this process through llama.cpp: vectors of texts, and generated text."""

from services.common.llama.chat import Message
from services.common.llama.embedding import EmbeddingModel, SelfTest
from services.common.llama.errors import (
    BadGrammar,
    BadTemplate,
    ComputeFailed,
    LoadFailed,
    ModelClosed,
    SelfTestFailed,
    TooManyTokens,
)
from services.common.llama.generation import Completion, GenerationModel, Prompt
from services.common.llama.native import Tokens, Vectors

__all__ = [
    "BadGrammar",
    "BadTemplate",
    "Completion",
    "ComputeFailed",
    "EmbeddingModel",
    "GenerationModel",
    "LoadFailed",
    "Message",
    "ModelClosed",
    "Prompt",
    "SelfTest",
    "SelfTestFailed",
    "Tokens",
    "TooManyTokens",
    "Vectors",
]
