"""Set up structlog: one JSON object or one console line per log entry, on standard error."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from typing_extensions import override

from notifier.config import LoggingSettings
from notifier.errors import place_of
from notifier.telemetry import metrics
from notifier.telemetry.linelimit import LineLimit
from notifier.telemetry.linesink import LineSink

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_MOST_SAID = 300
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""sd-daemon(3): levels of syslog, which journalctl -p asks for."""


class _Stream:
    """Standard error, whose lines can be gathered for a moment; writing neither fails nor waits."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._gathered: list[str] | None = None
        self._sink: LineSink | None = None
        self._of: object = None
        """The sys.stderr that the sink is for."""

    def open(self) -> None:
        """Write to what standard error is now."""
        if self._sink is not None:
            self._sink.close()
        self._sink, self._of = LineSink(sys.stderr.fileno()), sys.stderr

    def write(self, text: str) -> None:
        with self._lock:
            if self._gathered is None:
                self._put(text)
            else:
                self._gathered.append(text)

    def flush(self) -> None:
        """Nothing is kept."""

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._lock:
            self._gathered = []
            try:
                yield
            finally:
                lines, self._gathered = self._gathered, None
                self._put("".join(lines))

    def _put(self, text: str) -> None:
        sink = self._sink
        if sink is None or self._of is not sys.stderr:
            sys.stderr.write(text)
            return
        dropped = sink.write(text)
        if dropped:
            metrics.LOG_LINES_DROPPED.inc(dropped)
        elif sink.dropped and not sink.write(_lacking(sink.dropped)):
            sink.told()


def _lacking(count: int) -> str:
    """Return the line that says how many are missing; structlog's own way to here is locked."""
    line: Any = {
        "event": "log_lines_dropped",
        "count": count,
        "fix": "standard error was full, gone or not read: see its disk and its reader",
    }
    for processor in structlog.get_config()["processors"]:
        line = processor(None, "warning", line)
    return f"{line}\n"


_STREAM = _Stream()


def lines_together() -> AbstractContextManager[None]:
    """Write what is logged within at its end, at once: many lines cost as much as one. Not for what waits for anything."""
    return _STREAM.together()


def log_unforeseen(event: str, exc: BaseException, **fields: object) -> str:
    """Log that something failed which nobody foresaw, and where, never what the exception says; returns it for people."""
    where = place_of(exc)
    structlog.get_logger(__name__).error(event, where=where, **fields)
    return f"failed unforeseen ({where}); report this line"


def configure(settings: LoggingSettings) -> None:
    """Make every later log line follow the settings."""
    form: Literal["json", "console"]
    if settings.format == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    else:
        form = settings.format
    time: structlog.types.Processor
    renderer: structlog.types.Processor
    if form == "json":
        time, renderer = _add_time, structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        time = structlog.processors.TimeStamper(fmt="iso", utc=True)
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    _STREAM.open()
    journal = goes_to_journal(os.environ, sys.stderr.fileno())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            time,
            structlog.processors.format_exc_info,
            *([_without_controls] if form == "console" else []),
            _with_priority(renderer) if journal else renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.level.upper())
        ),
        # What structlog asks of a file is to write and to flush.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _STREAM)),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; their warnings belong on the same stream.
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryLines()])


class _LibraryLines(logging.Handler):
    """Writes what libraries warn of as lines of ours: one each, without tracebacks, and only so many of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LineLimit(time.monotonic)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            # What follows the first line shows objects, and what was sent with them.
            said = record.getMessage().partition("\n")[0][:_MOST_SAID]
        except (TypeError, ValueError):
            said = str(record.msg)[:_MOST_SAID]
        left_out = self._limit.left_out(f"{record.name} {record.levelno} {record.msg}"[:200])
        if left_out is None:
            return
        fields: dict[str, object] = {"logger": record.name, "said": said}
        exc = record.exc_info[1] if record.exc_info else None
        if exc is not None:
            fields["where"] = place_of(exc)
        if left_out:
            fields["left_out"] = left_out
        log = structlog.get_logger(__name__)
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write("library_warned", **fields)


def _add_time(
    _logger: object, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Add the time for the renderer to write, in C: TimeStamper's text takes five times as long."""
    event["timestamp"] = datetime.now(UTC)
    return event


def _to_json(event: object, default: Callable[[object], object]) -> str:
    line = _json_line(event, default)
    # A terminal may obey control characters that JSON leaves as they are; nearly every line is ASCII, which takes no look.
    return line if line.isascii() else _CONTROLS.sub(_escaped, line)


def _escaped(sign: re.Match[str]) -> str:
    return f"\\u{ord(sign[0]):04x}"


def _without_controls(
    _logger: object, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CONTROLS.sub(_escaped, value)
    return event


def _json_line(event: object, default: Callable[[object], object]) -> str:
    try:
        return orjson.dumps(event, default, _OPTIONS).decode()
    except TypeError:
        # Numbers beyond 64 bits and lone surrogates.
        def written(value: object) -> object:
            time = isinstance(value, datetime)
            return (
                orjson.dumps(value, option=_OPTIONS).decode().strip('"')
                if time
                else default(value)
            )

        return json.dumps(event, default=written, ensure_ascii=False, separators=(",", ":"))


_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
"""What is not JSON, and no time, is shown by its repr, which keeps secrets."""


def goes_to_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Tell whether what is written there goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    found = os.fstat(descriptor)
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_priority(renderer: structlog.types.Processor) -> structlog.types.Processor:
    """Put a line's level in front, where the journal reads it and takes it off."""

    def render(logger: object, name: str, event: structlog.types.EventDict) -> str:
        priority = _PRIORITIES.get(str(event.get("level")), 6)
        return f"<{priority}>{renderer(logger, name, event)!s}"

    return render
