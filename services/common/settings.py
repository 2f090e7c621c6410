"""Settings from the environment; each sits beside the code that it sets."""

import os
from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import InvalidSetting

PREFIX = "WINNOW_"


class Settings(BaseSettings):
    """A group of settings read from variables that start with WINNOW_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

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


def refuse_unknown(
    groups: Iterable[type[Settings]],
    extra: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Raise InvalidSetting for a variable with our prefix that no group reads: it is a misspelling."""
    known = {name for group in groups for name in group.names()} | set(extra)
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            raise InvalidSetting(f"{name}: no such setting")
