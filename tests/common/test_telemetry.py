"""Logs are readable by machines and people, and keep passwords."""

import json
import logging

import pytest

from services.common.auth import mint_key
from services.common.errors import DatabaseUnavailable
from services.common.telemetry import JsonFormatter, TextFormatter


def record(message: str, error: Exception | None = None) -> logging.LogRecord:
    """A record of a warning."""
    information = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("a.b", logging.WARNING, "", 0, "%s", (message,), information)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_passwords_of_urls_are_hidden(formatter: logging.Formatter) -> None:
    """A URL in a message or in the text of an exception shows no password."""
    secret = "postgresql://u:hunt'er2@db:5432/x, nats://:hunter2@n"
    text = formatter.format(record(secret, RuntimeError(secret)))
    assert "er2" not in text
    assert "postgresql://u:***@db:5432/x" in text


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_secrets_of_keys_are_hidden(formatter: logging.Formatter) -> None:
    """An API key in a message or an exception shows its public half alone."""
    key = mint_key()
    text = formatter.format(record(f"Bearer {key.text}", RuntimeError(key.text)))
    assert key.text.partition(".")[2] not in text
    assert key.prefix in text


def test_a_line_of_json_holds_it_all() -> None:
    """Whatever is logged, each event is one line that parses."""
    for message in ("plain", "two\nlines", 'quotes " and \\', "текст ☃", "\0\x1b", "a://b:c"):
        line = JsonFormatter().format(record(message, ValueError(message)))
        assert "\n" not in line
        fields = json.loads(line)
        assert fields["message"] == message
        assert fields["level"] == "warning"
        assert fields["logger"] == "a.b"
        assert "ValueError" in fields["traceback"]
        assert fields["time"].endswith("Z")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_what_caused_an_error_is_told(formatter: logging.Formatter) -> None:
    """Who must mend it learns whether a database is gone, full or out of connections; callers are told neither."""
    error = DatabaseUnavailable("the database does not answer or cannot write")
    error.__cause__ = ConnectionRefusedError(
        111, "connect to postgresql://u:hunter2@db:5432 failed"
    )
    told = logging.LogRecord("a", logging.WARNING, "", 0, "relay: %s", (error,), None)
    line = formatter.format(told)
    assert "ConnectionRefusedError: [Errno 111]" in line
    assert "hunter2" not in line
    assert "\n" not in line
    for message, plain in (("x", None), ("%(a)s", ({"a": 1},)), ("%s", ("nothing",))):
        without = logging.LogRecord("a", logging.INFO, "", 0, message, plain, None)
        assert "Error" not in formatter.format(without)
