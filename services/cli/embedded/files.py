"""Files that must be whole, private and owned by whoever uses them."""

import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.cli.embedded.errors import DataDirectoryUnusable
from services.cli.embedded.process import Account

Model = TypeVar("Model", bound=BaseModel)


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Replace a file in one durable step; only we, or the given account, can read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        give(Path(name), account)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_model(path: Path, model: type[Model], remedy: str) -> Model | None:
    """Return what a file holds, None when there is no file.

    Raises DataDirectoryUnusable, with what to do about it, when it makes no sense.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirectoryUnusable(f"{path} cannot be read ({error.strerror})") from error
    except ValidationError:
        raise DataDirectoryUnusable(f"{path} cannot be understood: {remedy}") from None


def read_word(path: Path) -> str:
    """Return the password or key that a file holds; empty when there is no file, or none in it."""
    if not path.exists():
        return ""
    text = path.read_text("ascii", "replace").strip()
    return text if text.isprintable() and text.isascii() else ""


def give(path: Path, account: Account | None) -> None:
    """Give a path to the account that must use it."""
    if account:
        os.chown(path, account.uid, account.gid)


def make_open(path: Path, mode: int) -> None:
    """Create a directory and its missing ancestors with exactly this mode; leave existing ones alone."""
    if not path.is_dir():
        make_open(path.parent, mode)
        path.mkdir(exist_ok=True)
        path.chmod(mode)


def make_private(path: Path, account: Account | None) -> None:
    """Create a directory for the account alone; raise DataDirectoryUnusable when it is another's."""
    if not path.exists():
        path.mkdir(mode=0o700)
        give(path, account)
    owner, wanted = path.stat().st_uid, account.uid if account else os.geteuid()
    if owner != wanted:
        advice = (
            f"if it is a copy, `chown -R {account.uid}:{account.gid} {path}` gives it back"
            if account
            else "start as the user who made it, or pass another with --data-dir"
        )
        raise DataDirectoryUnusable(
            f"{path} belongs to uid {owner} but the server would run as uid {wanted}: {advice}"
        )


def identity(directory: Path) -> str:
    """What tells a directory from its copies, whatever they are called."""
    found = directory.stat()
    return f"{found.st_dev}:{found.st_ino}"


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
