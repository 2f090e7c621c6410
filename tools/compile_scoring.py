"""Compile scoring for this Python into the place where services/ingest/compiled.py looks for it."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mypyc.build import mypycify
from setuptools import setup

from services.ingest.compiled import COMPILED, LIBRARY, place_of, read_sources

KEPT = 8  # checkouts may share an environment


def lay_out(sources: Mapping[str, bytes], root: Path) -> None:
    """Copy sources to where nothing else can be imported, so that none that matters is left out."""
    package = root / "services" / "ingest"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    for name, source in sources.items():
        (package / f"{name}.py").write_bytes(source)


def compile_in(root: Path) -> Path:
    """Compile what was laid out; return the folder of the libraries."""
    with contextlib.chdir(root):
        files = [f"services/ingest/{name}.py" for name in COMPILED]
        options = ["--explicit-package-bases", "--cache-dir=.cache"]
        extensions = mypycify(
            [*options, *files], opt_level="3", debug_level="0", group_name=LIBRARY
        )
        setup(
            name=LIBRARY,
            packages=[],
            ext_modules=extensions,
            script_args=["build_ext", "--build-lib=built", "--build-temp=temporary"],
        )
    return root / "built"


def put(libraries: Path, place: Path) -> None:
    """Put libraries in their place, all at once, and forget those of long ago."""
    fresh = place.with_suffix(".new")
    for former in (fresh, place):
        shutil.rmtree(former, ignore_errors=True)
    shutil.copytree(libraries, fresh)
    fresh.rename(place)
    others = sorted(place.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in others[:-KEPT]:
        shutil.rmtree(old)


def main() -> None:
    """Compile the sources as they are."""
    sources = read_sources()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(sources, root)
        put(compile_in(root), place_of(sources))


if __name__ == "__main__":
    main()
