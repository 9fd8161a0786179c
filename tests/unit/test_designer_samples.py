"""Microsoft's sample cards pass escaping, check and shortening.

They are not part of this repository.

`ADAPTIVE_CARD_SAMPLES` names a copy of samples/Templates/Scenarios of github.com/microsoft/AdaptiveCards (MIT licence).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.check.schema import card_faults
from notifier.cards.escaping import autoescape
from notifier.cards.fit import fit_card
from notifier.teams.envelope import build_body, counted_size
from notifier.templating import Template

FOLDER = os.environ.get("ADAPTIVE_CARD_SAMPLES", "")
TEMPLATES = sorted(Path(FOLDER).glob("*.template.json")) if FOLDER else []

pytestmark = pytest.mark.skipif(
    not TEMPLATES, reason="ADAPTIVE_CARD_SAMPLES must name a folder with *.template.json"
)
NEEDS_A_BOT = ("Action.Submit", "Action.Execute")


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def expanded(path: Path) -> Any:
    data = path.with_name(path.name.replace(".template", ".data"))
    values = read(data) if data.exists() else {}
    return Template(read(path), autoescape).expand(values, missing=lambda _: "—")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_only_parts_that_teams_refuses_are_faults(path: Path) -> None:
    card = expanded(path)

    faults = [
        fault
        for fault in card_faults(card)
        if not fault.warning
        and not fault.message.startswith(NEEDS_A_BOT)
        and not (fault.path == "$.version" and card["version"] == "1.6")
    ]
    assert faults == []
    assert len({fault.message for fault in card_faults(card)}) < 10


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_escaping_keeps_the_elements_of_the_template(path: Path) -> None:
    plain = Template(read(path)).expand({}, missing=lambda _: "x")
    guarded = Template(read(path), autoescape).expand({}, missing=lambda _: "x")

    kinds = {
        kind for kind in types(guarded) if kind not in ("Image", "Action.OpenUrl", "Media")
    }
    assert kinds <= set(types(plain))
    assert guarded["version"] == plain["version"]  # type: ignore[call-overload, index]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_it_can_be_shortened_and_posted(path: Path) -> None:
    card = expanded(path)
    build_body(card, max_card_bytes=100_000)

    small = fit_card(card, max_card_bytes=6_000, more_link=None)
    assert counted_size(json.dumps(small, ensure_ascii=False, separators=(",", ":"))) <= max(
        6_000, counted_size(json.dumps(card, ensure_ascii=False, separators=(",", ":")))
    )


def types(node: Any) -> list[str]:
    if isinstance(node, list):
        return [kind for item in node for kind in types(item)]
    if not isinstance(node, dict):
        return []
    own = [node["type"]] if isinstance(node.get("type"), str) else []
    return own + [kind for item in node.values() for kind in types(item)]
