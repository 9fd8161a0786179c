"""Log lines, as the journal and other readers get them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

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
