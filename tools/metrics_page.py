"""Writes docs/metrics.md: every metric with its labels and its meaning, from the code that keeps it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from services.common import metrics

TARGET = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
HEAD = """# Metrics

What each process shows at `WINNOW_METRICS_ADDRESS` ([operating.md](operating.md#seeing-it)), beside `process_*` of its
memory, processor and files. `make docs` writes this page from the code that keeps them. A histogram comes as `_bucket`,
`_sum` and `_count`; a series with labels is there from its first event on. Figures of all workspaces (tasks, rows,
reconciliation) are shown by several processes alike: take their `max`, and the `sum` of all else.

| metric | kind | labels | what it tells |
|---|---|---|---|
"""


def page() -> str:
    """Return the page, in the order in which the metrics are defined."""
    kept = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    rows = [_row(family, each) for each in kept for family in each.describe()]
    rows += [_row(family, family) for family in metrics.Pools().collect()]
    return HEAD + "".join(rows)


def _row(family: Metric, labelled: Any) -> str:
    labels: Sequence[str] = labelled._labelnames  # noqa: SLF001 - shown nowhere else
    name = f"{family.name}_total" if family.type == "counter" else family.name
    named = ", ".join(f"`{label}`" for label in labels) or "–"
    return f"| `{name}` | {family.type} | {named} | {family.documentation} |\n"


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
