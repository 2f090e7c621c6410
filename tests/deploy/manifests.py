"""The manifests as they are rendered, and what they refer to."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = ("single-node", "production")
MADE_BY_OPERATORS = {
    "winnow-database-ca",
    "winnow-authority",
    *(f"winnow-{name}-tls" for name in ("ingest", "extractor", "embedder", "search")),
}
Manifest = dict[str, Any]


@cache
def objects(overlay: str) -> list[Manifest]:
    """The objects of an overlay."""
    text = (DEPLOY / "rendered" / f"{overlay}.yaml").read_text()
    return [each for each in yaml.safe_load_all(text) if each]


def references(value: Any) -> Iterator[tuple[str, str, set[str]]]:
    """The config maps and secrets that an object names anywhere: kind, name, and which of its keys it takes."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in ("configMapRef", "configMap", "configMapKeyRef"):
                yield "ConfigMap", each["name"], _keys(each)
            elif key in ("secretKeyRef", "secret", "secretRef", "superuserSecret"):
                yield "Secret", each.get("name") or each["secretName"], _keys(each)
            else:
                yield from references(each)


def _keys(reference: Manifest) -> set[str]:
    items = {item["key"] for item in reference.get("items", [])}
    return items | ({reference["key"]} if "key" in reference else set())
