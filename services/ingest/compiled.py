"""Scoring in machine code, which `make setup` compiles: used only if it was made of the sources that lie here.

Whatever is not the same in every byte has another place, so that a copy of older sources is never found.
"""

import hashlib
import importlib.util
import logging
import platform
import sys
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Final

COMPILED: Final = ("vocabulary", "chunks", "wording", "features", "scoring")
# What those import is part of what they are: the compiler may copy what does not change.
SOURCES: Final = (*COMPILED, "everyday", "lexicon", "programs", "weights")
LIBRARY: Final = "winnow_scoring"
_SHARED: Final = f"{LIBRARY}__mypyc"
_PACKAGE: Final = "services.ingest"
_LOGGER: Final = logging.getLogger("winnow.ingest")


def read_sources() -> dict[str, bytes]:
    """The sources of what is compiled, by name."""
    folder = Path(__file__).parent
    return {name: (folder / f"{name}.py").read_bytes() for name in SOURCES}


def place_of(sources: Mapping[str, bytes]) -> Path:
    """Where the machine code of sources belongs, for this build of Python alone."""
    digest = hashlib.sha256(f"{sys.version}\0{platform.machine()}".encode())
    for name, source in sources.items():
        digest.update(f"\0{name}\0{len(source)}\0".encode() + source)
    return Path(sys.prefix, "lib", "winnow", digest.hexdigest()[:32])


def use() -> bool:
    """Let scoring be imported as machine code if there is any of these sources; say in the log which it is."""
    place = place_of(read_sources())
    imported = any(f"{_PACKAGE}.{name}" in sys.modules for name in COMPILED)
    if imported or not place.is_dir():
        _LOGGER.info("scoring is plain Python, which takes longer; `make setup` compiles it")
        return False
    folder, package = str(place / "services" / "ingest"), sys.modules[_PACKAGE]
    package.__path__.insert(0, folder)
    try:
        _load_library(place)
        for name in COMPILED:
            importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as error:
        package.__path__.remove(folder)
        _forget(package)
        _LOGGER.warning("scoring is plain Python, because %s", error)
        return False
    _LOGGER.info("scoring is compiled")
    return True


def _forget(package: ModuleType) -> None:
    """Undo what was imported, so that the sources are imported instead."""
    sys.modules.pop(_SHARED, None)
    for name in COMPILED:
        sys.modules.pop(f"{_PACKAGE}.{name}", None)
        vars(package).pop(name, None)


def _load_library(place: Path) -> None:
    """Load what the compiled modules share; they import it by its name."""
    file = place / f"{_SHARED}{EXTENSION_SUFFIXES[0]}"
    spec = importlib.util.spec_from_file_location(_SHARED, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} holds no library")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_SHARED] = module
    spec.loader.exec_module(module)
