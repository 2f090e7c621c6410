"""Model files: a registry of known models, fetching and converting them, and checking any GGUF."""

from services.common.errors import ModelError
from services.common.models.errors import (
    BadModelFile,
    BadRegistry,
    FetchFailed,
    ModelMissing,
    UnknownModel,
    WrongHash,
    WrongRole,
)
from services.common.models.files import Progress
from services.common.models.registry import ModelEntry, Registry, Role
from services.common.models.store import (
    ModelSettings,
    ModelStore,
    ResolvedModel,
    default_directory,
)

__all__ = [
    "BadModelFile",
    "BadRegistry",
    "FetchFailed",
    "ModelEntry",
    "ModelError",
    "ModelMissing",
    "ModelSettings",
    "ModelStore",
    "Progress",
    "Registry",
    "ResolvedModel",
    "Role",
    "UnknownModel",
    "WrongHash",
    "WrongRole",
    "default_directory",
]
