"""Reads the metrics of the services, and tells what the check itself has cost them."""

import asyncio
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from services.cli.embedded.paths import RuntimeState
from services.common.addresses import NAMES, is_on_this_machine
from services.common.errors import WinnowError
from services.common.metrics import MetricsSettings

TIMEOUT_SECONDS = 5
DURATIONS = (
    ("winnow_hint_delay_seconds", "stage", "a hint on NATS"),
    ("winnow_stage_perform_seconds", "stage", "work on a batch"),
    ("winnow_stage_commit_seconds", "stage", "writing a batch"),
    ("winnow_database_transaction_seconds", "role", "a transaction"),
    ("winnow_database_pool_wait_seconds", "role", "waiting for a connection"),
)

Reading = Mapping[tuple[str, str], tuple[float, float]]
"""Count and sum of seconds by metric and label."""


def urls(given: Sequence[str], state: RuntimeState | None = None) -> list[str]:
    """Where metrics are read: as given, else where the `winnow up` that runs serves them, else as the settings say."""
    if given:
        return list(given)
    address = state.metrics_address if state else MetricsSettings.read().metrics_address
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - where it is, not where to listen
    return (
        [f"http://{host}:{int(port) + index}/metrics" for index in range(len(NAMES))]
        if port
        else []
    )


async def read(places: Sequence[str]) -> Reading:
    """Add up the durations of all processes; one that does not answer counts for nothing.

    WinnowError for one that answers with something else.
    """
    texts = await asyncio.gather(*(asyncio.to_thread(_fetch, place) for place in places))
    total: dict[tuple[str, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for place, text in zip(places, texts, strict=True):
        try:
            durations = list(_durations(text))
        except ValueError:
            raise _no_metrics(place) from None
        for key, count, seconds in durations:
            before = total[key]
            total[key] = before[0] + count, before[1] + seconds
    return total


def _fetch(place: str) -> str:
    if not place.startswith(("http://", "https://")):
        return ""
    try:
        is_here = is_on_this_machine(urlsplit(place).hostname or "")
        opener = urllib.request.build_opener(
            *([urllib.request.ProxyHandler({})] if is_here else [])
        )
        with opener.open(place, timeout=TIMEOUT_SECONDS) as answer:
            return str(answer.read().decode(errors="replace"))
    except (OSError, urllib.error.URLError):
        return ""
    except HTTPException:
        raise _no_metrics(place) from None


def _no_metrics(place: str) -> WinnowError:
    return WinnowError(f"--metrics: what {place} shows are no metrics")


def _durations(text: str) -> Iterator[tuple[tuple[str, str], float, float]]:
    wanted = {name: label for name, label, _ in DURATIONS}
    for family in text_string_to_metric_families(text):
        if family.name in wanted:
            counts: dict[str, float] = {}
            sums: dict[str, float] = {}
            for sample in family.samples:
                label = sample.labels.get(wanted[family.name], "")
                if sample.name.endswith("_count"):
                    counts[label] = sample.value
                elif sample.name.endswith("_sum"):
                    sums[label] = sample.value
            for label, count in counts.items():
                yield (family.name, label), count, sums[label]


def differences(before: Reading, after: Reading) -> Iterator[tuple[str, str]]:
    """What happened between two readings: its name, and its mean duration with how often it was."""
    for name, _, what in DURATIONS:
        for (metric, label), (count, seconds) in sorted(after.items()):
            earlier = before.get((metric, label), (0.0, 0.0))
            happened = count - earlier[0]
            if metric == name and happened > 0:
                mean = (seconds - earlier[1]) / happened
                yield f"{what}: {label}", f"mean {mean * 1000:.1f} ms ({happened:.0f} times)"
