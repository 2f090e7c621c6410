"""What can go wrong with a model; every message is one line that may be shown to a user."""

from pathlib import Path

from services.common.errors import ModelError


class UnknownModel(ModelError):
    """The name is neither in the registry nor a path of a file; `known` are names that would do."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"unknown model {name!r}: give a GGUF file or one of {', '.join(known)}")


class ModelMissing(ModelError):
    """The model is in the registry but has not been fetched to this machine."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(f"model {name} has not been fetched: {path} does not exist")


class BadModelFile(ModelError):
    """The file is missing, unreadable, truncated or not GGUF."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"model file {path}: {reason}")
        self.path = path
        self.reason = reason


class WrongHash(ModelError):
    """The bytes of a file are not the bytes that the registry names."""

    def __init__(self, model: str, file: str, expected: str, actual: str) -> None:
        super().__init__(
            f"model {model}: {file} has the wrong sha256: expected {expected}, got {actual}"
        )
        self.model = model
        self.file = file
        self.expected = expected
        self.actual = actual


class FetchFailed(ModelError):
    """The source of a model cannot be reached or read, or the cache cannot be written."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model} cannot be fetched: {reason}")
        self.model = model
        self.reason = reason


class WrongRole(ModelError):
    """The model cannot do what it is asked to do (embedding, generation)."""

    def __init__(self, model: str, role: str, reason: str) -> None:
        super().__init__(f"model {model} cannot be used for {role}: {reason}")


class BadRegistry(ModelError):
    """A registry file does not have the form of one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"model registry {path}: {reason}")
