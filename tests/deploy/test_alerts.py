"""Alerts fire in the failures that they name, and are silent in a deployment that is well."""

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.deploy import promql
from tests.deploy.test_queries import MONITORING, rules

MINUTES, FAILS_AT = 45, 15
"""Each deployment is well for a quarter of an hour; what is looked at is the last minute."""
SEARCH = "winnow.search.v1.SearchService/Search"
Value = Callable[[int], float]
Deployment = dict[str, Value]
GONE: Value = lambda minute: math.nan  # noqa: E731


def level(value: float) -> Value:
    """The same at every minute."""
    return lambda minute: value


def growing(a_minute: float) -> Value:
    """A counter, or a clock."""
    return lambda minute: a_minute * minute


def from_then(before: Value, after: Value) -> Value:
    """One thing until the failure, another from then on."""
    return lambda minute: before(minute) if minute < FAILS_AT else after(minute)


def stuck(value: Value) -> Value:
    """What no longer changes from the failure on."""
    return lambda minute: value(min(minute, FAILS_AT))


def calls(method: str, code: str, a_minute: float, seconds: float) -> Deployment:
    """Calls that all take so long."""
    name, labels = "winnow_rpc_duration_seconds", f'method="{method}",code="{code}"'
    return {f"{name}_count{{{labels}}}": growing(a_minute)} | {
        f'{name}_bucket{{{labels},le="{bound}"}}': growing(a_minute if seconds <= bound else 0)
        for bound in (0.1, 0.5, 1.0, 2.5, math.inf)
    }


def waits(seconds: float) -> Deployment:
    """Connections of search's pool, each waited for so long."""
    return {
        f'winnow_database_pool_wait_seconds_bucket{{role="winnow_search",le="{bound}"}}': growing(
            60 if seconds <= bound else 0
        )
        for bound in (0.1, 0.5, 1.0, math.inf)
    }


def well() -> Deployment:
    """Two replicas of each service, all busy: always something is under way, and a call in a hundred fails."""
    found: Deployment = {}
    for service in ("ingest", "extractor", "embedder", "search"):
        for pod in ("a", "b"):
            found[f'winnow_serving{{service="{service}",pod="{service}-{pod}"}}'] = level(1)
    for pod in ("ingest-a", "embedder-a"):
        found[f'winnow_backlog_seen_timestamp_seconds{{pod="{pod}"}}'] = growing(60)
    found |= {
        'winnow_rows_seen_timestamp_seconds{pod="ingest-a"}': level(0),
        'winnow_rows_seen_timestamp_seconds{pod="embedder-a"}': growing(60),
        'winnow_reconciliation{compared="vectors_missing"}': level(3),
        'winnow_reconciliation{compared="vectors_stale"}': level(0),
        'winnow_reconciliation{compared="leases_expired"}': level(0),
        "winnow_broker_errors_total": level(2),
        'winnow_model_missing{model="e5"}': level(0),
        "winnow_search_replica_staleness_seconds": level(0.4),
        'winnow_searches_total{plan="memory"}': growing(60),
        'winnow_search_legs_lost_total{leg="semantic"}': growing(1),
        **calls(SEARCH, "OK", 60, 0.05),
        **calls(SEARCH, "UNAVAILABLE", 0.6, 0.05),
        **waits(0.01),
    }
    for stage in ("embed", "extract"):
        found[f'winnow_oldest_task_age_seconds{{stage="{stage}"}}'] = level(12)
        found[f'winnow_breaker_open{{stage="{stage}"}}'] = level(0)
        for state, count in {"ready": 0, "leased": 4, "scheduled": 0, "dead": 0}.items():
            found[f'winnow_tasks{{stage="{stage}",state="{state}"}}'] = level(count)
    return found


def without(word: str) -> Deployment:
    """What is no longer shown, by a word in it."""
    return {series: from_then(value, GONE) for series, value in well().items() if word in series}


def failing(series: str, after: Value) -> Deployment:
    """One figure that is another from the failure on."""
    return {series: from_then(well().get(series, GONE), after)}


NOTHING_UNDER_WAY = failing('winnow_tasks{stage="embed",state="leased"}', level(0))
LATE = failing(
    'winnow_oldest_task_age_seconds{stage="embed"}', lambda minute: 60 * (minute - FAILS_AT)
)
WORDS_ALONE = failing(
    'winnow_search_legs_lost_total{leg="semantic"}', lambda m: FAILS_AT + 50 * (m - FAILS_AT)
)
SERVING = 'winnow_serving{service="search",pod="search-'

FAILURES: dict[str, tuple[Deployment, set[str]]] = {
    "all is well": ({}, set()),
    "at rest, nobody searches": (
        {
            series: from_then(value, stuck(value))
            for series, value in well().items()
            if "_total" in series or "_count" in series or "_bucket" in series
        },
        set(),
    ),
    "search cannot be scraped": (without('service="search"'), {"WinnowServiceAway"}),
    "search runs and does not come up": (
        {f'{SERVING}{pod}"}}': from_then(level(1), level(0)) for pod in "ab"},
        {"WinnowServiceAway"},
    ),
    "one replica of two is away": (failing(f'{SERVING}a"}}', GONE), set()),
    "the only replica is replaced in four minutes": (
        {
            f'{SERVING}a"}}': lambda minute: math.nan if 40 <= minute < 44 else 1,
            f'{SERVING}b"}}': GONE,
        },
        set(),
    ),
    "the embedder is stopped": (
        without('pod="embedder-') | without("winnow_reconciliation") | LATE | WORDS_ALONE,
        {"WinnowServiceAway", "WinnowWorkIsLate", "WinnowSearchWithoutMeaning"},
    ),
    "the broker is away": (
        failing("winnow_broker_errors_total", growing(20)) | LATE,
        {"WinnowBrokerAway", "WinnowWorkIsLate"},
    ),
    "the database is away": (
        {s: stuck(v) for s, v in well().items() if "seen_timestamp" in s}
        | {s: stuck(v) for s, v in calls(SEARCH, "OK", 60, 0.05).items()}
        | calls(SEARCH, "UNAVAILABLE", 60, 0.05),
        {"WinnowUnwatched", "WinnowCallsFail"},
    ),
    "rows take too long to be compared": (
        {s: stuck(v) for s, v in well().items() if "rows_seen" in s},
        {"WinnowUncompared"},
    ),
    "tasks are dead": (
        failing('winnow_tasks{stage="extract",state="dead"}', level(1)),
        {"WinnowTasksDead"},
    ),
    "vectors are missing and nobody makes them": (NOTHING_UNDER_WAY, {"WinnowVectorsMissing"}),
    "a provider is left alone, and its tasks wait": (
        NOTHING_UNDER_WAY
        | failing('winnow_tasks{stage="embed",state="scheduled"}', level(3))
        | failing('winnow_breaker_open{stage="embed"}', level(1)),
        {"WinnowProviderLeftAlone"},
    ),
    "vectors of deleted texts stay": (
        failing('winnow_reconciliation{compared="vectors_stale"}', level(2)),
        {"WinnowInconsistent"},
    ),
    "searches are slow, and wait for connections": (
        calls(SEARCH, "OK", 60, 2) | waits(0.9),
        {"WinnowSearchIsSlow", "WinnowPoolExhausted"},
    ),
    "the replica is away": (
        failing("winnow_search_replica_staleness_seconds", level(math.inf)),
        {"WinnowReplicaFallsBehind"},
    ),
    "the model of the settings does not answer": (
        failing('winnow_model_missing{model="e5"}', level(1)),
        {"WinnowModelMissing"},
    ),
}


def firing(deployment: Deployment) -> set[str]:
    """The alerts that fire at the last minute: their queries gave something for as long as they say."""
    series = {
        promql.labels_of(name): [(60.0 * m, value(m)) for m in range(MINUTES + 1)]
        for name, value in deployment.items()
    }
    found = set()
    for rule in rules():
        since: dict[promql.Labels, int] = {}
        for minute in range(MINUTES + 1):
            now = promql.evaluate(rule["expr"], series, 60.0 * minute)
            since = {
                promql.without_name(labels): since.get(promql.without_name(labels), minute)
                for labels in now
            }
        patience = promql.seconds(rule["for"]) / 60
        if any(MINUTES - began >= patience for began in since.values()):
            found.add(rule["alert"])
    return found


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_told_by_its_alerts_and_no_others(failure: str) -> None:
    """Whoever is woken must be told what is wrong, and nobody must be woken for what is well."""
    changes, expected = FAILURES[failure]
    assert firing(well() | changes) == expected


def test_every_alert_is_tried() -> None:
    """No alert is there that no failure was seen to set off."""
    assert {rule["alert"] for rule in rules()} == set().union(
        *(each for _, each in FAILURES.values())
    )


def test_prometheus_comes_to_the_same(tmp_path: Path) -> None:
    """Where its tool is installed, Prometheus itself finds the same alerts firing."""
    if not shutil.which("promtool"):
        pytest.skip("needs promtool in PATH")
    manifest = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(manifest["spec"]))
    tests = [_as_promtool(*each) for each in FAILURES.values()]
    (tmp_path / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests})
    )
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "tests.yaml"], capture_output=True, text=True
    )
    assert not done.returncode, done.stdout + done.stderr


def _as_promtool(changes: Deployment, expected: set[str]) -> dict[str, object]:
    deployment: Mapping[str, Value] = well() | changes
    return {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": " ".join(_values(value))}
            for name, value in deployment.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0',
                "eval_time": f"{MINUTES}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(expected)
                ],
            }
        ],
    }


def _values(value: Value) -> Iterator[str]:
    """Samples as promtool reads them; what ends is marked as stale."""
    values = [math.nan, *(value(minute) for minute in range(MINUTES + 1))]
    for before, now in pairwise(values):
        if math.isnan(now):
            yield "_" if math.isnan(before) else "stale"
        else:
            yield "Inf" if math.isinf(now) else f"{now:g}"
