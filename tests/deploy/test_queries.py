"""Alerts, dashboards and autoscalers ask for metrics that exist, by labels that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from services.common import metrics

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "components" / "monitoring"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
# Labels that Prometheus adds to whatever it reads from a pod.
ADDED = {"pod", "namespace", "job", "instance"}
SELECTOR = re.compile(r"\b((?:winnow|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
BY = re.compile(r"\bby \(([^)]*)\)")


def known() -> dict[str, set[str]]:
    """Every sample that a process may show, with its labels."""
    found: dict[str, set[str]] = {
        "winnow_database_connections": {"role", "state"},
        "process_cpu_seconds_total": set(),
        "process_resident_memory_bytes": set(),
    }
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            (family,) = value.describe()
            for suffix in SUFFIXES[family.type]:
                labels = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = labels | set(value._labelnames)
    return found


def rules() -> list[dict[str, str]]:
    """The alerts."""
    manifest = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    found: list[dict[str, str]] = manifest["spec"]["groups"][0]["rules"]
    return found


def queries() -> Iterator[str]:
    """Every query of deploy/."""
    yield from (rule["expr"] for rule in rules())
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])
    scaled = ROOT / "deploy" / "components" / "autoscaling" / "scaled-objects.yaml"
    for each in yaml.safe_load_all(scaled.read_text()):
        for trigger in each["spec"].get("triggers", []):
            if trigger["type"] == "prometheus":
                yield trigger["metadata"]["query"]


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_asks_for_what_there_is(query: str) -> None:
    """Its metrics are ours or the process's, and it selects and groups by labels that they have."""
    found = known()
    asked = SELECTOR.findall(query)
    assert asked
    labels: set[str] = set(ADDED)
    for name, matchers in asked:
        assert name in found, name
        labels |= found[name]
        used = set(re.findall(r"([a-z_]+)\s*[=!]", matchers))
        assert used <= found[name] | ADDED, (name, used)
    for group in BY.findall(query):
        assert {label.strip() for label in group.split(",")} <= labels


def test_every_metric_is_looked_at() -> None:
    """No metric is kept that no dashboard, alert or autoscaler shows."""
    asked = {name for query in queries() for name, _ in SELECTOR.findall(query)}
    bases = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in asked}
    ours = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in known()}
    assert ours - bases <= {"winnow_rows_seen_timestamp_seconds"}


def test_every_alert_has_its_runbook() -> None:
    """Each alert is a section of the guide, says what is wrong and waits a while before it wakes somebody."""
    guide = (ROOT / "docs" / "operating.md").read_text()
    for rule in rules():
        name, annotations = rule["alert"], dict(rule["annotations"])  # type: ignore[arg-type]
        assert f"\n### {name}\n" in guide, name
        assert annotations["runbook"] == f"docs/operating.md#{name.lower()}"
        assert annotations["summary"]
        assert rule["for"].endswith("m")
