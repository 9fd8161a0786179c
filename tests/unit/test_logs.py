"""Log lines: what readers get, and what a log that fails costs."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from notifier.telemetry.logs import LineSink

PROGRAM = """
import logging, structlog
from notifier.config.models import LoggingSettings
from notifier.telemetry import logs
logs.configure(LoggingSettings(format="json", level="debug"))
log = structlog.get_logger()
log.debug("looked"); log.info("delivered"); log.warning("late"); log.error("refused")
logging.getLogger("library").warning("odd")
"""


TOGETHER = """
import sys, structlog
from notifier.config.models import LoggingSettings
from notifier.telemetry import logs
logs.configure(LoggingSettings(format="json", level="info"))
log = structlog.get_logger()
log.info("one")
try:
    with logs.lines_together():
        log.info("two"); log.info("three")
        print("nothing of these yet", file=sys.stderr)
        raise LookupError
except LookupError:
    log.info("four")
"""


def lines(environ: dict[str, str], *, journal: bool, program: str = PROGRAM) -> list[str]:
    """Return the lines that a program writes to a pipe or to the journal."""
    reading, writing = os.pipe()
    if journal:
        found = os.fstat(writing)
        environ = environ | {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    with open(reading, encoding="utf-8") as reader:
        with open(writing, "wb") as writer:
            subprocess.run(
                [sys.executable, "-c", program],
                env=environ,
                stderr=writer,
                check=True,
                timeout=60,
            )
        return reader.read().splitlines()


def test_the_journal_is_told_how_grave_each_line_is():
    found = lines(dict(os.environ), journal=True)

    assert [line[:3] for line in found] == ["<7>", "<6>", "<4>", "<3>", "<4>"]
    assert json.loads(found[2][3:])["event"] == "late"


@pytest.mark.parametrize("stream", [{}, {"JOURNAL_STREAM": "1:2"}])
def test_elsewhere_a_line_is_json_alone(stream: dict[str, str]):
    found = lines({**os.environ, **stream}, journal=False)

    assert [json.loads(line)["level"] for line in found[:4]] == [
        "debug",
        "info",
        "warning",
        "error",
    ]
    said = json.loads(found[4])
    assert (said["logger"], said["said"], said["level"]) == ("library", "odd", "warning")


CONTROLS = """
import structlog
from notifier.config.models import LoggingSettings
from notifier.telemetry import logs
logs.configure(LoggingSettings(format="%s", level="info"))
structlog.get_logger().info("routed", source="\\x9b31mred \\x1b[2J\\x85 سارة")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_moves_a_cursor(form: str):
    text = "\n".join(lines(dict(os.environ), journal=False, program=CONTROLS % form))

    assert not any(sign in text for sign in "\x9b\x1b\x85")
    assert "سارة" in text
    if form == "json":
        assert json.loads(text)["source"] == "\x9b31mred \x1b[2J\x85 سارة"


FLOOD = """
import logging
from notifier.config.models import LoggingSettings
from notifier.telemetry import logs
logs.configure(LoggingSettings(format="json", level="info"))
for _ in range(1000):
    try:
        raise ValueError("token-of-somebody")
    except ValueError:
        logging.getLogger("library").exception("it broke\\nfuture: <token-of-somebody>")
logging.getLogger("library").warning("something else %d")
logging.getLogger("library").warning("wrong %d", "x")
"""


def test_a_library_fills_no_log_and_shows_nothing_of_what_was_sent():
    found = lines(dict(os.environ), journal=False, program=FLOOD)

    assert 2 < len(found) < 20
    assert "token" not in "".join(found)
    said = json.loads(found[0])
    assert (said["level"], said["said"], said["where"]) == ("error", "it broke", "ValueError")


@pytest.mark.parametrize("journal", [False, True])
def test_lines_written_together_come_at_the_end_whole_and_in_order(journal: bool):
    found = lines(dict(os.environ), journal=journal, program=TOGETHER)

    assert found.pop(1) == "nothing of these yet"
    told = [json.loads(line.removeprefix("<6>")) for line in found]
    assert [line["event"] for line in told] == ["one", "two", "three", "four"]


LINES = """
import os, sys, structlog
from notifier.config.models import LoggingSettings
from notifier.telemetry import logs, metrics
logs.configure(LoggingSettings(format="json", level="info"))
log = structlog.get_logger()
with logs.lines_together():
    for n in range(3): log.info("gathered")
for n in range(300): log.info("line", n=n, filler="x" * 1000)
sys.stdout.write(str(int(metrics.LOG_LINES_DROPPED._value.get())) + "\\n"); sys.stdout.flush()
sys.stdin.readline()
log.info("last")
"""


def started(stderr: int, *, limit: int | None = None) -> subprocess.Popen[str]:
    def prepare() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-c", LINES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=prepare,
    )


def events_of(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_a_pipe_that_nobody_reads_costs_lines_and_later_says_how_many():
    reading, writing = os.pipe()
    with started(writing) as program:
        os.close(writing)
        assert program.stdout is not None
        dropped = int(program.stdout.readline())
        assert 100 < dropped < 303
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_NONBLOCK)
        text = b""
        while (piece := _read(reading)) is not None:
            text += piece
        fcntl.fcntl(reading, fcntl.F_SETFL, 0)
        program.communicate("\n", timeout=60)
        with open(reading, "rb") as rest:
            text += rest.read()
    assert program.returncode == 0
    found = events_of(text.decode())
    assert found[-2:] in (["last", "log_lines_dropped"], ["log_lines_dropped", "last"])
    assert json.loads(text.splitlines()[-1]).get("count", dropped) == dropped


def _read(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None


def test_a_reader_that_is_gone_costs_lines():
    reading, writing = os.pipe()
    os.close(reading)
    with started(writing) as program:
        os.close(writing)
        out, _ = program.communicate("\n", timeout=60)
    assert (int(out), program.returncode) == (303, 0)


def test_a_full_disk_costs_lines(tmp_path: Path):
    path = tmp_path / "log"
    with path.open("wb") as log, started(log.fileno(), limit=20_000) as program:
        out, _ = program.communicate("\n", timeout=60)
    assert program.returncode == 0
    assert int(out) > 250
    assert path.stat().st_size == 20_000


@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_a_line_that_was_written_in_part_is_completed_before_the_next(kind: str):
    ends: tuple[int, int]
    if kind == "pipe":
        ends = os.pipe()
    else:
        one, two = socket.socketpair()
        ends = one.detach(), two.detach()
    reading, writing = ends
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_NONBLOCK)
    sink = LineSink(writing)
    written, text = 0, b""
    for number in range(3000):
        line = f"{number} " + "x" * (number * 37 % 6000) + "\n"
        written += not sink.write(line)
        if number % 50 == 49:
            while (piece := _read(reading)) is not None:
                text += piece
    assert sink.write("end\n") == 0
    while (piece := _read(reading)) is not None:
        text += piece
    sink.close()
    os.close(reading)
    os.close(writing)

    found = text.decode().splitlines()
    assert found[-1] == "end"
    assert len(found) == written + 1
    assert sink.dropped == 3000 - written
    assert all(
        len(line) == len(line.split(" ")[0]) + 1 + int(line.split(" ")[0]) * 37 % 6000
        for line in found[:-1]
    )


def test_a_command_works_without_standard_error():
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m notifier config show --json 2>&-"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)
