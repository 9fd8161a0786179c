"""A reload that fails unforeseen is refused, and the daemon goes on."""

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
    calls: list[str] = []
    current: Any = SimpleNamespace(snapshot="in force")
    blueprint: Any = Blueprint()
    health = Health()

    await Reloader(
        current,
        blueprint,
        health,
        use=[lambda _: calls.append("used")],
        before=lambda: calls.append("begun"),
        after=[lambda: calls.append("ended")],
    ).reload()

    why = health.warnings["configuration"]
    assert "AttributeError at notifier/daemon/reload.py" in why
    assert "topsecret" not in why
    assert current.snapshot == "in force"
    assert calls == ["begun", "ended"]
