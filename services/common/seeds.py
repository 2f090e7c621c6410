"""Keys by which services show NATS who they are: the secret seed, and the public half that the server is told."""

import os
from pathlib import Path

import nkeys

from services.common.errors import InvalidSetting, WinnowError


def new_seed() -> str:
    """The secret half of a new user's key, as NATS writes it."""
    return bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)).decode()


def public_key(seed: str) -> str:
    """The half of a key that the server is told; WinnowError for what is no seed."""
    try:
        return bytes(nkeys.from_seed(bytearray(seed.encode())).public_key).decode()
    except (nkeys.NkeysError, ValueError) as error:
        raise WinnowError("is no seed of an NKEY, which begins with SU") from error


def is_seed(text: str) -> bool:
    """Whether a text is the secret half of a key."""
    try:
        public_key(text)
    except WinnowError:
        return False
    return True


def check_seed(file: Path, setting: str) -> None:
    """Read the seed in a file that a setting names. Raises InvalidSetting, which tells nothing of what it holds."""
    try:
        public_key(file.read_text("utf-8").strip())
    except OSError as error:
        raise InvalidSetting(f"{setting}: {file}: {error.strerror}") from error
    except (WinnowError, UnicodeDecodeError):
        text = f"{setting}: {file}: is no seed of an NKEY, which begins with SU"
        raise InvalidSetting(text) from None
