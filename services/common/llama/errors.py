"""What can go wrong in using a loaded model."""

from pathlib import Path

from services.common.errors import ModelError, Unavailable


class LoadFailed(ModelError):
    """The file is GGUF but cannot be loaded: an unknown architecture, or too little memory."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"model file {path} cannot be loaded: {reason}")


class ComputeFailed(ModelError):
    """llama.cpp failed on an input, or its result is not usable."""


class SelfTestFailed(ModelError):
    """The loaded model does not give the results that it must."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"model file {path} fails its self-test: {reason}")


class TooManyTokens(ModelError):
    """A text or prompt is longer than the model can read."""

    def __init__(self, what: str, tokens: int, tokens_max: int) -> None:
        super().__init__(f"{what} has {tokens} tokens; at most {tokens_max} fit")
        self.tokens = tokens
        self.tokens_max = tokens_max


class BadGrammar(ModelError):
    """A JSON schema or grammar cannot constrain the output."""


class ModelClosed(Unavailable):
    """The model was closed while or before it was used."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"model file {path} has been closed")


class BadTemplate(ModelError):
    """The chat template of a model does not accept the chat."""
