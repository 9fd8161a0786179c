"""Set up structlog: JSON or console lines on standard error."""

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

from notifier.config.models import LoggingSettings
from notifier.errors import place_of
from notifier.telemetry import metrics

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_MOST_SAID = 300
_MOST_KINDS = 200
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""sd-daemon(3): levels of syslog, by which journalctl -p filters."""


class _Stream:
    """Standard error; writes to it never fail or wait."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._gathered: list[str] | None = None
        self._sink: LineSink | None = None
        self._of: object = None
        """The sys.stderr of the sink."""

    def open(self) -> None:
        """Write to the current standard error."""
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
        """Do nothing: no line is buffered."""

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
            sink.reset()


def _lacking(count: int) -> str:
    """Return the line with the number of dropped lines."""
    line: Any = {
        "event": "log_lines_dropped",
        "count": count,
        "fix": "standard error was full, gone or not read; check its disk and its reader",
    }
    for processor in structlog.get_config()["processors"]:
        line = processor(None, "warning", line)
    return f"{line}\n"


_STREAM = _Stream()


def lines_together() -> AbstractContextManager[None]:
    """Write the lines of a block at its end, in one write; it must not wait."""
    return _STREAM.together()


def log_unforeseen(event: str, exc: BaseException, **fields: object) -> str:
    """Log the place of an unforeseen failure; returns a message for people.

    The text of the exception is not logged: it may hold data of a patient.
    """
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
        # structlog only writes to it and flushes it.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _STREAM)),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; their warnings belong on the same stream.
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryLines()])


class _LibraryLines(logging.Handler):
    """Writes warnings of libraries as our lines, without tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LineLimit(time.monotonic)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Further lines show objects and their data.
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
    """Add the time; the renderer writes it faster than TimeStamper."""
    event["timestamp"] = datetime.now(UTC)
    return event


def _to_json(event: object, default: Callable[[object], object]) -> str:
    line = _json_line(event, default)
    # A terminal obeys control characters beyond ASCII, which JSON does not escape; most lines are ASCII.
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
"""Other objects are shown by their repr, which hides secrets."""


def goes_to_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Tell whether the descriptor leads to the journal (JOURNAL_STREAM)."""
    found = os.fstat(descriptor)
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_priority(renderer: structlog.types.Processor) -> structlog.types.Processor:
    """Put the level before a line; the journal reads and removes it."""

    def render(logger: object, name: str, event: structlog.types.EventDict) -> str:
        priority = _PRIORITIES.get(str(event.get("level")), 6)
        return f"<{priority}>{renderer(logger, name, event)!s}"

    return render


class LineLimit:
    """Allows `most` lines of a kind in `seconds`, and counts the others.

    Strangers can cause such lines, which must not fill the disk. `clock` gives monotonic seconds.
    """

    def __init__(
        self, clock: Callable[[], float], *, most: int = 5, seconds: float = 60.0
    ) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._kinds: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Begin of the period of a kind, and its number of lines."""

    def left_out(self, kind: str) -> int | None:
        """Return the number of lines left out before; None: leave out this one."""
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
    """Writes lines to a descriptor without waiting; counts dropped ones.

    The file, pipe, socket or terminal may be full, gone, or not read.
    """

    def __init__(self, descriptor: int) -> None:
        self._write, self.close = _writing(descriptor)
        self._rest = b""
        """The rest of a line that was written in part."""
        self.dropped = 0
        """Lines dropped since `reset`."""

    def write(self, text: str) -> int:
        """Write whole lines; returns the number of dropped ones."""
        data = text.encode(errors="backslashreplace")
        if self._rest:
            self._rest = self._rest[self._put(self._rest) :]
        done = 0 if self._rest else self._put(data)
        if 0 < done < len(data) and data[done - 1 : done] != b"\n":
            # A later reader gets this line whole.
            end = data.find(b"\n", done) + 1 or len(data)
            self._rest, done = data[done:end], end
        dropped = data.count(b"\n", done)
        self.dropped += dropped
        return dropped

    def reset(self) -> None:
        """Count from 0: the log has the number of dropped lines."""
        self.dropped = 0

    def _put(self, data: bytes) -> int:
        """Return the number of bytes written."""
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:])
        except OSError:  # full, gone or not read
            pass
        return done


def _writing(descriptor: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """Return a function that writes or raises OSError, and one that closes."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        # Usually the journal. A copy of the descriptor: closing it must not close standard error.
        end = socket.socket(fileno=os.dup(descriptor))
        return lambda data: end.send(data, socket.MSG_DONTWAIT), end.close
    if stat.S_ISREG(mode):
        return lambda data: os.write(descriptor, data), lambda: None
    if stat.S_ISFIFO(mode):
        try:
            # Opened again, so that only we get the flag, not other users of the pipe.
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
        # A ready pipe takes so many bytes at once (pipe(7)); more may wait.
        return os.write(descriptor, data[: select.PIPE_BUF])

    return write, lambda: None
