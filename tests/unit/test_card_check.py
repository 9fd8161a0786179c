"""`notifier cards check` finds the faults that a delivery would meet."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.cards.check.folder import check_folder, refuse_broken
from notifier.cards.check.schema import card_faults
from notifier.cards.fit import fit_card
from notifier.cards.library import CardFiles, CardLibrary, load_cards, sealed, write_seal
from notifier.config import Config, assets, load_config
from notifier.daemon.snapshot import Blueprint
from notifier.errors import CardError, ConfigError
from notifier.telemetry.findings import Finding, Level
from tests.support.card_folder import one_card

CONFIG: Config = load_config(assets.config_file(), {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return one_card(tmp_path / "cards")


def change(folder: Path, alter: Any) -> None:
    path = folder / "claim_approved.json"
    card = json.loads(path.read_text("utf-8"))
    alter(card)
    path.write_text(json.dumps(card), "utf-8")


def line(finding: Finding) -> str:
    return f"{'warning: ' if finding.level is Level.WARNING else ''}{finding}"


def lines(folder: Path, *, thorough: bool = False) -> list[str]:
    return [line(finding) for finding in check_folder(folder, CONFIG, thorough=thorough)]


def add(element: dict[str, Any]) -> Any:
    return lambda card: card["body"].append(element)


TEXT = {"type": "TextBlock", "wrap": True}


SUBMIT = {"type": "Action.Submit", "title": "x"}
OPEN = {"type": "Action.OpenUrl", "title": "x", "url": "https://x"}
CELL = {"type": "TableCell", "items": [{**TEXT, "text": "x"}]}
TABLE = {
    "type": "Table",
    "columns": [{"width": 1}, {"width": 2}],
    "rows": [{"type": "TableRow", "cells": [CELL, {"type": "TableCell"}]}] * 5,
}


@pytest.mark.parametrize(
    ("alter", "where", "what"),
    [
        (add({**TEXT, "text": "${data.nowhere}"}), "${data.nowhere}", "has no value"),
        (add({**TEXT, "text": "${toUppper(data.claim_id)}"}), "].text", "there is no function toUppper"),
        (add({**TEXT, "text": "${data.claim_id"}), "$", "${"),
        (add({**TEXT, "text": "${rand(1,2)}"}), "].text", "rand is refused"),
        (add({"type": "FactSet"}), "]", "facts"),
        (add({"type": "TextBlok", "text": "x"}), "].type", "TextBlock"),
        (add({"type": ["x"], "text": "${data.claim_id}"}), "].type", "TextBlock"),
        (add({"type": None}), "].type", "TextBlock"),
        (add({"text": "x"}), "].type", "TextBlock"),
        (add(["x"]), "]", "not an element"),
        (add(5), "]", "not an element"),
        (add({**TEXT, "text": {"a": 1}}), "].text", "string"),
        (add({"type": "Image", "altText": "x"}), "]", "url"),
        (lambda card: card.update(version="1.6"), "$.version", "up to 1.5"),
        (lambda card: card.update(type="Card"), "$.type", "AdaptiveCard"),
        (lambda card: card.update(body={"a": 1}), "$.body", "array"),
        (lambda card: card.update(actions=[SUBMIT]), "$.actions[0].type", "Action.Submit"),
        (lambda card: card.update(actions=[{**OPEN, "url": "javascript:x"}]), "$.actions[0].url", "https"),
    ],
)  # fmt: skip
def test_a_part_that_teams_would_not_show_is_a_fault_with_file_place_and_fix(
    folder: Path, alter: Any, where: str, what: str
) -> None:
    change(folder, alter)
    found = [line for line in lines(folder) if where in line and what in line]
    assert found, lines(folder)
    assert found[0].startswith(f"{folder / 'claim_approved.json'}: ")
    with pytest.raises(CardError, match="notifier cards check"):
        refuse_broken(folder, CONFIG)


@pytest.mark.parametrize(
    ("alter", "where", "what"),
    [
        (add({"type": "TextBlock", "text": "x"}), "].wrap", "phone"),
        (add({**TEXT, "txet": "x", "text": "x"}), "]", "txet"),
        (add({**TEXT, "text": "x", "color": "red"}), "].color", "red"),
        (add({"type": "Image", "url": "http://x/y.png", "altText": "x"}), "].url", "https"),
        (add({"type": "Image", "url": "https://x/y.png"}), "].altText", "say what the image shows"),
        (add({"type": "Input.Text", "id": "x"}), "].type", "Input.Text"),
        (add({"type": "CodeBlock", "codeSnippet": "x"}), "].type", "CodeBlock"),
        (add({"type": "Media", "sources": [{"mimeType": "video/mp4", "url": "https://x"}]}), "].type", "Media"),
        (add(TABLE), "].type", "Table"),
        (lambda card: card.update(actions=[OPEN] * 7), "$.actions", "6"),
        (add({"type": "Container", "items": [{**TEXT, "text": "x", "id": "row"}] * 2}), "].id", "phones"),
    ],
)  # fmt: skip
def test_a_part_that_teams_shows_is_a_warning_at_most(
    folder: Path, alter: Any, where: str, what: str
) -> None:
    change(folder, alter)
    [line] = lines(folder)
    assert line.startswith(f"warning: {folder / 'claim_approved.json'}: ")
    assert where in line
    assert what in line
    refuse_broken(folder, CONFIG)


def test_an_element_with_a_fallback_passes(folder: Path) -> None:
    change(folder, add({"type": "Hologram", "fallback": {**TEXT, "text": "x"}}))
    assert lines(folder) == []


def test_the_same_fault_at_many_places_is_one_finding(folder: Path) -> None:
    change(
        folder, add({"type": "Container", "items": [{"type": "TextBlock", "text": "x"}] * 9})
    )
    change(folder, lambda card: card.update(actions=[SUBMIT] * 4))

    told = lines(folder, thorough=True)
    assert len(told) == 2
    assert "$.actions[0].type" in told[0] + told[1]
    assert "5 more" in told[0] + told[1]


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.sampled_from(["TextBlock", "Container", "Action.OpenUrl", "Table", "1.5", "https://x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "text", "body", "items", "actions", "rows", "cells", "columns", "facts", "url", "card", "fallback", "version"]),
        inner, max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
@example({"type": "AdaptiveCard", "version": ["1.5"], "body": [{"type": ["x"]}, None, [[]]]})
def test_any_json_is_judged_and_shortened_without_an_error(card: Any) -> None:
    for whole in (card, {"type": "AdaptiveCard", "version": "1.5", "body": card}):
        for fault in card_faults(whole):
            assert fault.path.startswith("$")
            assert fault.message
        fit_card(whole, max_card_bytes=100, more_link=None)


def test_an_unknown_path_is_a_warning_and_names_the_fix(folder: Path) -> None:
    change(folder, add({**TEXT, "$when": "${exists(data.typo)}", "text": "x"}))
    [warning] = lines(folder)
    assert warning.startswith("warning: ")
    assert "data.typo" in warning
    assert "fields.toml" in warning
    refuse_broken(folder, CONFIG)


@pytest.mark.parametrize(
    "expression",
    [
        "join(foreach(data.lines, data, data.code), ',')",
        "join(foreach(data.lines, event, event.code), ',')",
        "join(select(data.lines, Data, data.code), ',')",
        "join(foreach(data.lines, links, stringOrValue('${links.code}')), ',')",
        "join(foreach(data.lines, data, join(foreach(data.parts, x, data.code), '')), ',')",
        "count(where(data.lines, notification, notification.code == '1'))",
    ],
)
def test_a_name_that_an_expression_binds_is_not_a_path_into_the_data(
    folder: Path, expression: str
) -> None:
    declare_lines(folder)
    change(folder, add({**TEXT, "text": f"${{{expression}}}"}))

    assert [line for line in lines(folder) if line.startswith("warning: ")] == []


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("join(foreach(data.typos, data, data.code), ',')", "data.typos"),
        ("concat(join(foreach(data.lines, data, data.code), ','), data.code)", "data.code"),
        ("join(foreach(data.lines, x, data.code), ',')", "data.code"),
        ("join(foreach(data.lines, data, event.code), ',')", "event.code"),
        ("join(foreach(data.lines, data, $root.data.code), ',')", "$root.data.code"),
    ],
)
def test_a_path_beside_a_bound_name_is_still_judged(
    folder: Path, expression: str, path: str
) -> None:
    declare_lines(folder)
    change(folder, add({**TEXT, "$when": f"${{exists({expression})}}", "text": "x"}))

    [warning] = [line for line in lines(folder) if line.startswith("warning: ")]
    assert f"reads {path}, which no" in warning


def declare_lines(folder: Path) -> None:
    fields = folder / "fields.toml"
    declared = '[claim_approved.lines]\ntype = "array"\nrequired = false\ndoc = "Lines."\n'
    fields.write_text(fields.read_text("utf-8") + f"\n{declared}", "utf-8")


def test_a_binding_that_only_fails_with_bad_data_is_found(folder: Path) -> None:
    change(
        folder,
        add(
            {
                **TEXT,
                "$when": "${exists(data.claim_id)}",
                "text": "${length(data.claim_id)}",
            }
        ),
    )
    assert any("numbers everywhere" in line for line in lines(folder, thorough=True))


@pytest.mark.parametrize(
    ("expression", "sound"),
    [
        ("formatNumber(float(data.net_amount), 2)", False),
        ("int(data.net_amount)", False),
        ("formatNumber(amount(data.net_amount), 2)", True),
        ("money(data.net_amount, 'KWD')", True),
        ("data.net_amount", True),
    ],
)
def test_an_amount_that_is_read_up_to_its_comma_is_a_fault(
    folder: Path, expression: str, sound: bool
) -> None:
    shown = f"${{if(exists(data.net_amount), {expression}, '')}}"
    change(folder, add({**TEXT, "text": f"Net {shown}"}))

    found = [line for line in lines(folder, thorough=True) if "money()" in line]
    assert (found == []) is sound


@pytest.mark.parametrize("name", ["amount", "Unit_Price", "totals", "copay"])
def test_an_undocumented_amount_is_tried_too(folder: Path, name: str) -> None:
    change(
        folder, add({**TEXT, "text": f"${{if(exists(data.{name}), float(data.{name}), '')}}"})
    )

    assert [line for line in lines(folder, thorough=True) if "money()" in line]


def test_broken_json_is_named(folder: Path) -> None:
    (folder / "broken.json").write_text("{", "utf-8")
    assert any("broken.json" in line and "not readable JSON" in line for line in lines(folder))


@pytest.mark.parametrize("content", ["[1]", "1", "[" * 50_000, ""])
@pytest.mark.parametrize("name", ["broken.json", "samples/broken.json"])
def test_a_file_with_any_content_is_a_fault_and_never_a_crash(
    folder: Path, name: str, content: str
) -> None:
    (folder / name).write_text(content)

    found = check_folder(folder, CONFIG, thorough=False)
    assert any(name in str(finding) for finding in found)


@pytest.mark.parametrize("name", ["a" * 5000, "nul\0byte"])
def test_an_impossible_folder_is_refused_without_a_crash(name: str) -> None:
    assert sealed(Path(name)) is None
    with pytest.raises(CardError, match="there is no folder"):
        load_cards(Path(name))


def test_the_shipped_cards_are_sealed_as_they_are() -> None:
    assert sealed(assets.cards_dir()) is not None, "run: notifier cards check --seal"


@pytest.mark.parametrize(
    "name", ["claim_approved.json", "fields.toml", "samples/nphies.claim.approved.json", "checked.txt"]
)  # fmt: skip
def test_a_change_breaks_the_seal(folder: Path, name: str) -> None:
    write_seal(folder, CardFiles.read(folder))
    assert sealed(folder) is not None

    path = folder / name
    path.write_text(path.read_text("utf-8") + " ", "utf-8")
    assert sealed(folder) is None


@pytest.mark.parametrize("name", ["extra.json", "samples/extra.json"])
def test_a_file_more_or_less_breaks_the_seal(folder: Path, name: str) -> None:
    write_seal(folder, CardFiles.read(folder))
    (folder / name).write_text("{}", "utf-8")
    assert sealed(folder) is None

    write_seal(folder, CardFiles.read(folder))
    (folder / name).unlink()
    assert sealed(folder) is None


def test_cards_of_a_sealed_folder_are_those_that_were_sealed() -> None:
    folder = sealed(assets.cards_dir())
    assert folder is not None
    cards = CardLibrary.on_demand(folder.templates)
    loaded = load_cards(assets.cards_dir())

    assert set(cards.templates) == set(loaded.templates)
    assert cards.find("claim_approved", "ar")[0] == "claim_approved.ar"
    assert cards.templates["claim_approved"].paths == loaded.templates["claim_approved"].paths
    with pytest.raises(CardError, match=r"no card nothing\.json"):
        cards.find("nothing", "en")


@pytest.mark.parametrize(
    "text", ["claim_approved = 5", "[claim_approved]\nclaim_id = []", "x = ["]
)
def test_any_content_of_fields_toml_is_a_fault_and_never_a_crash(
    folder: Path, text: str
) -> None:
    (folder / "fields.toml").write_text(text, "utf-8")

    assert [
        line for line in lines(folder) if "fields.toml" in line and not line.startswith("w")
    ]


def test_a_card_of_the_designer_learns_where_its_names_are(folder: Path) -> None:
    change(folder, add({**TEXT, "text": "${title} by ${creator.name} on ${toUpper(day)}"}))

    told = [line for line in lines(folder) if "has no value" in line]
    assert any(
        "${title}" in line and "${creator.name}" in line and "data." in line for line in told
    )
    assert len(told) <= 2


def test_the_daemon_starts_with_one_own_card_over_the_shipped_ones(tmp_path: Path) -> None:
    hello = {"type": "TextBlock", "text": "Hello"}
    card = {"type": "AdaptiveCard", "version": "1.5", "body": [hello]}
    (tmp_path / "claim_approved.json").write_text(json.dumps(card), "utf-8")
    env = {"TEAMS_CARDS__DIRECTORY": str(tmp_path)}

    def cards() -> dict[str, Any]:
        blueprint = Blueprint(lambda: load_config(None, env), env, clock=time.monotonic)
        return dict(blueprint.build(None).cards.templates)

    own = cards()
    assert own["claim_approved"].expand({}) == card
    assert {"generic", "digest", "claim_approved.ar"} < set(own)
    write_seal(tmp_path, CardFiles.read(assets.cards_dir(), tmp_path))
    assert set(cards()) == set(own)
    card["body"] = [{**hello, "type": "TextBlok"}]
    (tmp_path / "claim_approved.json").write_text(json.dumps(card), "utf-8")
    with pytest.raises(ConfigError, match="TextBlok"):
        cards()
