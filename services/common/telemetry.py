"""Logs: one line of JSON an event when a machine reads them, plain text when a person does."""

import json
import logging
import re
import sys
import time
from typing import Literal

from services.common import tracing
from services.common.settings import Settings


class LogSettings(Settings):
    """How much is logged, and in which form."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"


_PASSWORD = re.compile(r'(?<!\w)(\w+://[^\s:/@"]*):[^\s@"]+@')
_KEY = re.compile(r"(wk_[0-9a-z]{12})\.[A-Za-z0-9_-]+")


def without_secrets(text: str) -> str:
    """The text without the passwords of URLs and the secret halves of API keys."""
    return _KEY.sub(r"\1.***", _PASSWORD.sub(r"\1:***@", text))


def causes(record: logging.LogRecord) -> str:
    """What caused the errors that a record speaks of: callers are not told it, and whoever mends it must be."""
    spoken_of = record.args if isinstance(record.args, tuple) else ()
    found = [each.__cause__ for each in spoken_of if isinstance(each, BaseException)]
    return "; ".join(f"{type(each).__name__}: {each}".strip(": ") for each in found if each)


class TextFormatter(logging.Formatter):
    """Renders a record as lines of text, without the passwords of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the first of them, with what caused the errors that it speaks of."""
        cause = causes(record)
        return super().formatMessage(record) + (f" ({cause})" if cause else "")


class JsonFormatter(logging.Formatter):
    """Renders a record as one JSON object, without the passwords of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return time (UTC), level, logger, message; cause, ids of the trace and traceback if there are any."""
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.log_fields(),
        }
        if cause := causes(record):
            fields["cause"] = cause
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(fields, ensure_ascii=False))


def _in_one_line(record: logging.LogRecord) -> bool:
    """Say in a line why the driver cannot connect again, which it tries until it can: it gives a page each time."""
    if record.exc_info and (error := record.exc_info[1]):
        record.msg = "a connection to the database is lost, and cannot be made anew yet: %s: %s"
        record.args = (type(error).__name__, error)
        record.exc_info = record.exc_text = None
    return True


def start_logging(settings: LogSettings) -> None:
    """Send all logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # It logs the URL of every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("nats").setLevel(logging.ERROR)
    logging.getLogger("asyncpg.pool").addFilter(_in_one_line)
