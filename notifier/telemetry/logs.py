"""Set up structlog: one JSON object or one console line per log entry, on standard error."""

from __future__ import annotations

import json
import logging
import os
import re
import select
import socket
import stat
import sys
import threading
import time
from collections import OrderedDict
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

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_MOST_SAID = 300
_MOST_KINDS = 200
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


class LineLimit:
    """Lets through `most` lines of a kind in `seconds`, and counts the others; `clock` gives monotonic seconds."""

    def __init__(
        self, clock: Callable[[], float], *, most: int = 5, seconds: float = 60.0
    ) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._kinds: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When the period of a kind began, and how many lines there were since."""

    def left_out(self, kind: str) -> int | None:
        """Return how many lines of this kind were left out before this one; None: leave this one out too."""
        now = self._clock()
        began, count = self._kinds.get(kind, (now, 0))
        left_out = 0
        if now - began >= self._seconds:
            left_out = max(0, count - self._most)
            began, count = now, 0
        self._kinds[kind] = (began, count + 1)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)
        return left_out if count < self._most else None


class LineSink:
    """A file, pipe, socket or terminal that may be full, gone, or read by nobody."""

    def __init__(self, descriptor: int) -> None:
        self._write, self.close = _writing(descriptor)
        self._rest = b""
        """Of a line that was written in part."""
        self.dropped = 0
        """Lines that nobody will read, since `told` was called."""

    def write(self, text: str) -> int:
        """Write whole lines; returns how many were dropped."""
        data = text.encode(errors="backslashreplace")
        if self._rest:
            self._rest = self._rest[self._put(self._rest) :]
        done = 0 if self._rest else self._put(data)
        if 0 < done < len(data) and data[done - 1 : done] != b"\n":
            # Whoever reads again later sees this line whole.
            end = data.find(b"\n", done) + 1 or len(data)
            self._rest, done = data[done:end], end
        dropped = data.count(b"\n", done)
        self.dropped += dropped
        return dropped

    def told(self) -> None:
        """Count anew: the log says how many lines it lacks."""
        self.dropped = 0

    def _put(self, data: bytes) -> int:
        """Return how many bytes were taken."""
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:])
        except OSError:  # full, gone, or nobody reads
            pass
        return done


def _writing(descriptor: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """Return what writes some of it to a descriptor or raises OSError, and never waits; and what closes it again."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        # Of the journal, as a rule. A copy of the descriptor: closing the object must not close standard error.
        end = socket.socket(fileno=os.dup(descriptor))
        return lambda data: end.send(data, socket.MSG_DONTWAIT), end.close
    if stat.S_ISREG(mode):
        return lambda data: os.write(descriptor, data), lambda: None
    if stat.S_ISFIFO(mode):
        try:
            # Opened anew, so that the flag is ours alone: who shares the pipe goes on as before.
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            pass
        else:
            return lambda data: os.write(own, data), lambda: os.close(own)
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)

    def write(data: bytes) -> int:
        if not ready.poll(0):
            raise BlockingIOError
        # What takes anything takes so many bytes whole (pipe(7)); more might have to wait.
        return os.write(descriptor, data[: select.PIPE_BUF])

    return write, lambda: None
