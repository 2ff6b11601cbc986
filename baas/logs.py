"""Structured logs: every record of every module as one line, for people (console) or machines (JSON).

Two small formatters of our own: a logging library costs a tenth of the time that start-up may take.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
from typing import Any, Final, Literal

import orjson

_LEVEL_COLOURS: Final = {
    "DEBUG": "36",
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "31",
}
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
NOISY: Final = ("aiosqlite", "uvicorn", "grpclib", "hpack", "alembic", "websockets", "urllib3")
"""Libraries whose records below warnings nobody needs."""


def configure(level: str, form: Literal["console", "json"]) -> None:
    """Send all logging to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if form == "json" else ConsoleFormatter(sys.stderr.isatty())
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """One object a record: ``timestamp``, ``level``, ``logger``, ``event``, what ``extra`` gave, and
    ``exception`` with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_extra_of(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


class ConsoleFormatter(logging.Formatter):
    """``TIME [level] event key=value [logger]``, and the traceback below."""

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower():<8}"
        if self._colours:
            level = f"\x1b[{_LEVEL_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        extra = "".join(f" {key}={value}" for key, value in _extra_of(record).items())
        event = _printable(f"{record.getMessage()}{extra}")
        line = f"{_time_of(record)} [{level}] {event} [{record.name}]"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _printable(text: str) -> str:
    """What a terminal shows as it is: names that callers choose make no second line, and no colours."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _time_of(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _extra_of(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
