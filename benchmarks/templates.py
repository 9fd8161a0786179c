"""Measure claim cards per CPU second beside two other engines.

Run: `make bench-templates`. Each engine parses the template once and expands it in a process of its own, in turns; what
counts is CPU time (user and system), since wall time on a shared machine says little.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from notifier.cards.library import load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.events.entry import to_event
from notifier.events.routing import Catalogue

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "bench"
ORACLE = HERE.parent / "tests" / "oracle"
PEER = "adaptive-cards-templating-py==0.1.5"
ROUNDS = 7
LINKS = ("acknowledge", "view_claim", "poll_nphies", "nphies_portal")


def main() -> int:
    """Measure both cards, write results/templates.json, return the exit code."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("needs Node 18 or newer with npm: the reference runs on it", file=sys.stderr)
        return 1
    reference, peer = _install_reference(), _install_peer()
    report: dict[str, JsonValue] = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "node": _output(["node", "--version"]).strip(),
        "cpus": os.cpu_count(),
        "rounds": ROUNDS,
    }
    cases = {
        "claim_submitted": assets.cards_dir() / "claim_submitted.json",
        "claim_plain": HERE / "claim_plain.json",
    }
    for name, path in cases.items():
        report[name] = _measured(name, path, reference, peer)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "templates.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return 0


def _install_reference() -> Path:
    folder = BUILD / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ORACLE / name, folder)
    if not (folder / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


def _install_peer() -> Path:
    folder = BUILD / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True)
    return python


def _context() -> dict[str, JsonValue]:
    config = load_config(None, {})
    sample = assets.cards_dir() / "samples" / "nphies.claim.submitted.json"
    event = to_event(
        "teams:events", "1764000000000-0", json.loads(sample.read_text(encoding="utf-8"))
    )
    [first, *_] = (
        Catalogue(config.routes, config.channels).route(event, event.data).notifications
    )
    context = CardRenderer(load_cards(assets.cards_dir()), config, None).context(first)
    return {**context, "links": {name: f"https://notify.example.sa/{name}" for name in LINKS}}


def _measured(name: str, path: Path, reference: Path, peer: Path) -> JsonValue:
    template = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as case:
        json.dump({"template": template, "data": _context()}, case)
    contenders: dict[str, Sequence[str | Path]] = {
        "notifier": [sys.executable, HERE / "expand_ours.py", case.name, "3000"],
        "node": ["node", HERE / "expand_reference.cjs", reference, case.name, "1500"],
        "peer": [peer, HERE / "expand_peer.py", case.name, "100"],
    }
    rates: dict[str, list[float]] = {contender: [] for contender in contenders}
    cards: dict[str, JsonValue] = {}
    for _ in range(ROUNDS):
        for contender, command in contenders.items():
            answer = json.loads(_output([str(part) for part in command]).splitlines()[-1])
            rates[contender].append(int(command[-1]) / answer["seconds"])
            cards[contender] = answer["card"]
    Path(case.name).unlink()
    same = {contender: card == cards["node"] for contender, card in cards.items()}
    return _shown(name, rates, same)


def _shown(name: str, rates: dict[str, list[float]], same: dict[str, bool]) -> JsonValue:
    ours = statistics.median(rates["notifier"])
    rows: dict[str, JsonValue] = {}
    print(f"\n{name}: cards per CPU second, median of {ROUNDS} rounds (least to most)")
    for contender, values in rates.items():
        median = statistics.median(values)
        note = "" if same[contender] else "  its card differs from the reference's"
        print(
            f"  {contender:<10}{median:>9,.0f}  ({min(values):,.0f} to {max(values):,.0f})"
            f"  notifier is {ours / median:.1f} times as fast{note}"
        )
        rows[contender] = {
            "cards_per_cpu_second": round(median),
            "rounds": [round(value) for value in values],
            "same_card_as_reference": same[contender],
        }
    return rows


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
