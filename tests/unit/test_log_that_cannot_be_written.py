"""A log that cannot be written drops lines and counts them, never waits."""

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
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=prepare,
    )


def lines(text: str) -> list[str]:
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
    found = lines(text.decode())
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
