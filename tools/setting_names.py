"""Writes services/common/settings.txt: every WINNOW_ variable that some part of the product reads."""

import importlib
import pkgutil
from pathlib import Path

import services
from services.cli.target import DATA_VARIABLE, KEY_VARIABLE
from services.common.settings import Settings

TARGET = Path(services.__path__[0], "common", "settings.txt")
EXTRA = {DATA_VARIABLE, KEY_VARIABLE, "WINNOW_ADMIN_DATABASE_URL"}


def names() -> list[str]:
    """Import everything and collect the variables of every group of settings."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    groups: list[type[Settings]] = [Settings]
    for group in groups:
        groups += group.__subclasses__()
    ours = [group for group in groups if group.__module__.startswith("services.")]
    return sorted(EXTRA.union(*(group.names() for group in ours)))


if __name__ == "__main__":
    TARGET.write_text("\n".join(names()) + "\n", "utf-8")
