"""Programs that write into chats: who is one, and what becomes of their lines."""

import pytest

from services.ingest.programs import is_program, outcome_of
from services.ingest.scoring import NOISE, SIGNAL, WEAK, Conversation, score
from services.ingest.wording import Context, ScoredInput

FAILURES = (
    "[FIRING:1] HighLatency search-api (p99 2.1s > 1s, env=prod)",
    "PROBLEM: Pump 4 no data for 10m (host: station-2, severity: High)",
    "New issue: TypeError: Cannot read properties of undefined (reading 'cart')",
    "Monitor is DOWN: customer portal (HTTP 502)",
    "deploy / production failed: price-service, step Migrate, exit code 1",
    "2 checks passed, 1 failed: lint on branch fix/queue",
    "Збірка #311 впала: гілка main, тест test_rounding",
    "Авария: насос 4, давление превышено",
)
RECOVERIES = (
    "[RESOLVED] HighLatency search-api (p99 400ms)",
    "Monitor is UP: customer portal, was down for 6 minutes",
    "Відновлено: насос 4, тиск у нормі",
)
ROUTINE = (
    "Pipeline #881 passed on main (6 min 12 s)",
    "Pull request #51 was merged into main",
    "All checks have passed, 0 errors",
    "Build succeeded without errors",
    "SHOP-12: assigned to Ada",
    "Reminder: timesheets are due on Friday",
)
CHANGES = (
    "Ada pushed 2 commits to fix/login: Handle failed logins",
    "New patchset: Ada; Fix the error on an empty cart",
    "Ada commented on SHOP-12: the crash is gone",
    "Ada opened pull request #12: Show a placeholder when a seat map is missing",
)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "GitHub",
            "GitHub Actions",
            "gitlab",
            "Grafana OnCall",
            "Jira Automation",
            "CircleCI",
            "Travis CI",
        ),
        *(
            "Google Calendar",
            "New Relic",
            "gerrit-wm",
            "BuildAlerts",
            "prod alerts",
        ),
        *(
            "CI",
            "ci (staging)",
            "Deploy prod",
            "Моніторинг складу",
            "Алерти",
            "Деплой",
            "Уведомления сайта",
        ),
    ],
)
def test_a_program_by_its_name(name: str) -> None:
    """An application, and what is named for what runs by itself, is no person."""
    assert is_program(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Travis",
            "Travis Berry",
            "Git Hubbard",
            "Google Fan",
            "Amazon",
            "new_user",
            "Test",
            "server",
            "dev",
        ),
        *(
            "Abbott",
            "Deploy Ann",
            "Status Quo",
            "Ada",
            "",
            "*",
            "42",
            "Марта",
            "Сервіс Марта",
            "Алекс Деплоєнко",
        ),
    ],
)
def test_a_person_by_their_name(name: str) -> None:
    """A name that shares a word with a program's, or part of a word, is a person's."""
    assert not is_program(name)


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [(FAILURES, "failure"), (RECOVERIES, "recovery"), (ROUTINE, "routine"), (CHANGES, "")],
)
def test_what_happened(lines: tuple[str, ...], outcome: str) -> None:
    """What failed is told from what works again, from what went as it should, and from changes to either."""
    assert {line: outcome_of(line) for line in lines} == dict.fromkeys(lines, outcome)


@pytest.mark.parametrize("author", ["GitHub", "ci-bot"])
def test_lines_of_programs_have_their_labels(author: str) -> None:
    """News of a failure is a signal whoever posts it; routine is noise, and the rest is weak."""
    labels = {
        line: score(ScoredInput(author, line), Context()).label
        for line in (*FAILURES, *ROUTINE, *CHANGES)
    }
    assert labels == (
        dict.fromkeys(FAILURES, SIGNAL)
        | dict.fromkeys(ROUTINE, NOISE)
        | dict.fromkeys(CHANGES, WEAK)
    )


def test_the_same_failure_again_is_no_news() -> None:
    """An alert that tells nothing new counts less than the first."""
    conversation = Conversation()
    first, again = (conversation.score(ScoredInput("Grafana", FAILURES[0])) for _ in range(2))
    assert first.label == SIGNAL
    assert again.label != SIGNAL


def test_a_name_in_cyrillic_makes_no_line_ukrainian() -> None:
    """A program's English line about somebody is weighed as English."""
    factors = dict(score(ScoredInput("GitHub", "Остап pushed 1 commit to main"), Context()).factors)
    assert "compact_language" not in factors
