"""Settings from the environment; each sits beside the code that it sets."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import InvalidSetting

PREFIX = "WINNOW_"


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
            raise InvalidSetting(f"{name}: {first['msg']}") from None

    @classmethod
    def names(cls) -> set[str]:
        """Return the variables that the group reads."""
        return {PREFIX + name.upper() for name in cls.model_fields}


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
