"""The rights that doctor and daemon try are those of the scripts."""

from __future__ import annotations

import re
from pathlib import Path

import notifier
from notifier.broker.rights import COMMANDS

ROOT = Path(__file__).parents[2]


def test_every_command_of_a_script_is_among_the_rights_that_are_tried():
    used = set()
    for script in Path(notifier.__file__).parent.rglob("*.lua"):
        text = script.read_text(encoding="utf-8")
        calls = re.findall(r"(?:redis\.p?call|try)\('([A-Z]+)'(?:, '([A-Z]+)')?", text)
        used |= {
            f"{command}|{sub}" if command in ("XINFO", "XGROUP") else command
            for command, sub in calls
        }

    assert len(used) > 15
    assert {name.lower() for name in used} <= COMMANDS.keys()


def test_every_right_of_the_daemon_in_the_documents_is_tried_and_no_other():
    [line] = re.findall(
        r"^ACL SETUSER notifier .*\+evalsha.*$", (ROOT / "docs" / "how-to" / "redis.md").read_text(), re.MULTILINE
    )  # fmt: skip
    granted = set(re.findall(r"\+(\S+)", line))

    assert granted == set(COMMANDS)
