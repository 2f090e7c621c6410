"""The models known by name: what each is, how it must be used and where its bytes come from."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common.models.errors import BadRegistry, UnknownModel

Role = Literal["embedding", "generation"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

BUILT_IN: Final = Path(__file__).with_name("models.toml")


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageSource(_Frozen):
    """Files inside one wheel; without a converter the only member is the GGUF itself."""

    kind: Literal["package"]
    requirement: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")
    wheel_sha256: Sha256
    wheel_bytes: int = Field(gt=0)
    platform: str | None = None
    converter: Literal["e5", "minilm"] | None = None
    member: dict[str, Sha256] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if self.converter is None and len(self.member) != 1:
            raise ValueError("a source without a converter has one member")
        return self


class HubSource(_Frozen):
    """One GGUF file of a model hub."""

    kind: Literal["hub"]
    repository: str
    file: str
    revision: str = "main"


class PathSource(_Frozen):
    """A GGUF file of this machine, used where it lies."""

    kind: Literal["path"]
    path: Path


Source = Annotated[PackageSource | HubSource | PathSource, Field(discriminator="kind")]


class ModelEntry(_Frozen):
    """One model; sha256 is that of its GGUF file, and may be absent for a path alone."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    role: Role
    sha256: Sha256 | None = None
    dimensions: int = Field(default=0, ge=0)
    pooling: str = "unspecified"
    context_tokens: int = Field(default=0, ge=0)
    query_prefix: str = ""
    passage_prefix: str = ""
    licence: str
    source: tuple[Source, ...] = Field(min_length=1)

    @property
    def local_path(self) -> Path | None:
        """The file of this machine that the entry names, if it names one."""
        first = self.source[0]
        return first.path.expanduser() if isinstance(first, PathSource) else None

    @model_validator(mode="after")
    def _check_hash(self) -> Self:
        if self.sha256 is None and self.local_path is None:
            raise ValueError(f"{self.name}: sha256 is missing")
        return self


class _File(_Frozen):
    model: tuple[ModelEntry, ...]


class Registry:
    """Models by name; the first of a role is its default."""

    def __init__(self, entries: Iterable[ModelEntry]) -> None:
        self._entries = {entry.name: entry for entry in entries}

    @classmethod
    def load(cls, *paths: Path) -> Self:
        """Read the built-in registry, then the files given; a later entry replaces an earlier."""
        return cls(entry for path in (BUILT_IN, *paths) for entry in _read(path))

    @property
    def entries(self) -> list[ModelEntry]:
        """All models, in the order of the files."""
        return list(self._entries.values())

    def entry(self, name: str, role: Role | None = None) -> ModelEntry:
        """Return the model of that name or raise UnknownModel, which knows those of the role."""
        if name not in self._entries:
            known = [each.name for each in self.entries if role in (None, each.role)]
            raise UnknownModel(name, known)
        return self._entries[name]

    def default(self, role: Role) -> ModelEntry:
        """Return the first model of the role."""
        return next(entry for entry in self.entries if entry.role == role)

    def with_digest(self, sha256: str) -> ModelEntry | None:
        """Return the model whose GGUF file has this digest, whatever the file is called."""
        return next((entry for entry in self.entries if entry.sha256 == sha256), None)


def _read(path: Path) -> tuple[ModelEntry, ...]:
    try:
        return _File.model_validate(tomllib.loads(path.read_text("utf-8"))).model
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRegistry(path, f"{where}: {first['msg']}") from None
    except OSError as error:
        raise BadRegistry(path, (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        raise BadRegistry(path, str(error)) from error
