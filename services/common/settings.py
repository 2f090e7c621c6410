"""Settings from the environment; each sits beside the code that it sets."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import InvalidSetting

PREFIX = "WINNOW_"
OWNER_LOGIN = "the login of the database's owner"
"""What errors call the owner's URL where it is no setting of anybody's."""
_PORT_MAX = 65_535


def _address(text: str) -> str:
    """The text if it ends in a port, as a target of gRPC such as `dns:///search:15054` does, too."""
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and int(port) <= _PORT_MAX):
        raise ValueError("must be a host and a port, such as 127.0.0.1:15051 or [::1]:15051")
    return text


Address = Annotated[str, AfterValidator(_address)]
OptionalAddress = Annotated[str, AfterValidator(lambda text: text and _address(text))]
# A shell makes an empty text of a variable that is not set, and a path makes `.` of that.
OptionalPath = Annotated[Path | None, BeforeValidator(lambda text: text or None)]


class Settings(BaseSettings):
    """A group of settings read from variables that start with WINNOW_."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False
    )

    @classmethod
    def read(cls) -> Self:
        """Return the settings, or raise InvalidSetting that names the variable."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            told = first["msg"].removeprefix("Value error, ")
            raise InvalidSetting(f"{name}: {told}") from None

    @classmethod
    def names(cls) -> set[str]:
        """Return the variables that the group reads."""
        return {PREFIX + name.upper() for name in cls.model_fields}


def read_all() -> None:
    """Read every group of settings whose module is loaded. Raises InvalidSetting for the first that is wrong."""
    groups: list[type[Settings]] = Settings.__subclasses__()
    for group in groups:
        groups += group.__subclasses__()
        group.read()


def known_names() -> set[str]:
    """Every variable that any part of this release reads; a test proves the list to be whole."""
    return set(Path(__file__).with_name("settings.txt").read_text("utf-8").split())


def refuse_unknown(environment: Mapping[str, str] = os.environ) -> None:
    """Raise InvalidSetting for a variable with our prefix that nothing reads: it is a misspelling."""
    known = known_names()
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidSetting(f"{name}: no such setting{hint}")
