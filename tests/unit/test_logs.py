"""Log lines: one a record, for people or for machines."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from baas.logs import ConsoleFormatter, JsonFormatter


def record(message: str = "denied %s", *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("baas.x", logging.WARNING, "x.py", 1, message, args, None)
    vars(made).update(extra)
    return made


def test_a_json_line_holds_the_event_its_level_its_logger_and_what_was_added() -> None:
    line = json.loads(JsonFormatter().format(record("denied %s", "get", project="p")))
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "logger": "baas.x", "event": "denied get", "project": "p"}


def test_a_line_feed_in_a_message_does_not_make_a_second_json_line() -> None:
    assert "\n" not in JsonFormatter().format(record("a\nb"))


def test_what_callers_name_makes_no_second_console_line_and_no_colours() -> None:
    line = ConsoleFormatter(colours=False).format(
        record("denied get of /%s", "a\n2026 [info] b\x1b[2J\u202e", project="p\nq")
    )
    assert line.endswith(r"denied get of /a\n2026 [info] b\x1b[2J\u202e project=p\nq [baas.x]")


def test_a_console_line_can_be_read() -> None:
    line = ConsoleFormatter(colours=False).format(record("denied %s", "get", project="p"))
    assert line.endswith("[warning ] denied get project=p [baas.x]")


def test_a_traceback_is_kept() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    assert "ValueError: wrong" in json.loads(JsonFormatter().format(failed))["exception"]
    assert "ValueError: wrong" in ConsoleFormatter(colours=False).format(failed)
