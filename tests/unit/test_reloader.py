"""Whatever a reload meets, the daemon goes on with what it has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from notifier.daemon.reload import Reloader
from notifier.telemetry.health import Health


class Blueprint:
    """Reads settings that nobody foresaw."""

    def build(self, _: object) -> object:
        raise AttributeError("topsecret has no attribute 'get'")


async def test_a_reload_that_fails_unforeseen_is_refused_and_shows_no_value() -> None:
    told: list[str] = []
    daemon: Any = SimpleNamespace(
        snapshot="what runs", health=Health(), before_reload=[], after_reload=[lambda: told.append("ended")]
    )  # fmt: skip
    blueprint: Any = Blueprint()

    await Reloader(daemon, blueprint).reload()

    why = daemon.health.warnings["configuration"]
    assert "AttributeError at notifier/daemon/reload.py" in why
    assert "topsecret" not in why
    assert daemon.snapshot == "what runs"
    assert told == ["ended"]
