"""`notifier cards check` and `render` as a user starts them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from notifier.config import assets
from tests.support.card_folder import one_card
from tests.support.commands import SAMPLE, notifier


def test_cards_render_expands_any_template_with_any_data(tmp_path: Path):
    (tmp_path / "card.json").write_text(
        '{"type": "AdaptiveCard", "body": [{"$data": "${items}", "type": "TextBlock", "text": "${n} of ${$root.total}"}]}'
    )
    (tmp_path / "data.json").write_text('{"total": 2, "items": [{"n": 1}, {"n": 2}]}')

    done = notifier(
        "cards", "render", str(tmp_path / "card.json"), "--data", str(tmp_path / "data.json")
    )

    assert [block["text"] for block in json.loads(done.stdout)["body"]] == ["1 of 2", "2 of 2"]


def test_cards_render_shows_an_event_as_a_delivery_would():
    done = notifier("cards", "render", "claim_rejected", "--event", str(SAMPLE))

    assert json.loads(done.stdout)["type"] == "AdaptiveCard"
    assert json.loads(SAMPLE.read_text())["data"]["patient_id"] not in done.stdout


def test_cards_render_names_the_file_at_fault(tmp_path: Path):
    files = {
        "data.json": "{}", "card.json": '{"type": "AdaptiveCard", "body": [{"text": "${nope(1)}"}]}',
        "untyped.json": '{"data": {}}', "nowhere.json": '{"type": "a.b"}', "unknown.json": '{"type": "a.b", "stakeholders": "foo"}',
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    card, sample = str(tmp_path / "card.json"), str(SAMPLE)

    done = notifier("cards", "render", card, "--data", str(tmp_path / "data.json"))
    assert (done.returncode, "card.json: $.body[0].text" in done.stderr) == (1, True)
    done = notifier("cards", "render", card, "--event", sample)
    assert (done.returncode, "card.json: $.body[0].text" in done.stderr) == (1, True)
    for name in ("untyped.json", "nowhere.json", "unknown.json"):
        done = notifier("cards", "render", "generic", "--event", str(tmp_path / name))
        assert (done.returncode, f"{tmp_path / name}: " in done.stderr) == (1, True)


def test_cards_of_a_missing_folder_are_not_called_broken(tmp_path: Path):
    (tmp_path / "file").touch()
    absent = str(tmp_path / "absent")

    for folder in (absent, str(tmp_path / "file")):
        done = notifier("cards", "check", folder)
        assert done.returncode == 2
        assert "there is no such folder" in done.stderr
    for command in ("check", "list", "preview"):
        done = notifier("cards", command, TEAMS_CARDS__DIRECTORY=absent)
        assert done.returncode == 3
        assert f"cards.directory: there is no folder {absent}" in done.stderr


def test_broken_cards_of_the_configured_folder_are_bad_configuration(tmp_path: Path):
    shutil.copytree(assets.cards_dir(), tmp_path / "cards")
    broken = tmp_path / "cards" / "eligibility.json"
    broken.write_text('{"type": "AdaptiveCard", "body": [{"text": "${nope(1)}"}]}')
    (tmp_path / "events.jsonl").write_text('{"type": "a.b", "stakeholders": "sre"}\n' * 2)
    dry = ("publish", "--dry-run", "--file", str(tmp_path / "events.jsonl"))
    out = tmp_path / "cards.html"

    for command in (("cards", "list"), ("cards", "preview", "--out", str(out)), dry):
        done = notifier(*command, TEAMS_CARDS__DIRECTORY=str(tmp_path / "cards"))
        assert (command, done.returncode) == (command, 3)
        assert done.stderr.startswith(f"notifier: {broken}: $.body[0].text")
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
    assert not out.exists()
    one = one_card(tmp_path / "one")
    (one / "eligibility.json").write_text(broken.read_text())
    done = notifier("cards", "check", TEAMS_CARDS__DIRECTORY=str(one))
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("{", "event: is not valid JSON"),
        ("[]", "event: is JSON but not an object"),
        ('{"type": "a b"}', "type:"),
    ],
)
def test_cards_preview_names_the_sample_at_fault(tmp_path: Path, sample: str, said: str):
    shutil.copytree(assets.cards_dir(), tmp_path / "cards")
    broken = tmp_path / "cards" / "samples" / "a.json"
    broken.write_text(sample)

    done = notifier(
        "cards", "preview", "--out", str(tmp_path / "x.html"),
        TEAMS_CARDS__DIRECTORY=str(tmp_path / "cards"),
    )  # fmt: skip

    assert done.returncode == 3
    assert done.stderr.startswith(f"notifier: {broken}: {said}")
    assert "Traceback" not in done.stderr
    broken = one_card(tmp_path / "one") / "samples" / "a.json"
    broken.write_text(sample)
    checked = notifier("cards", "check", str(tmp_path / "one"))
    assert checked.returncode == 1
    assert f"{broken}: $: {said}" in checked.stderr


def test_an_event_that_sound_cards_cannot_render_is_at_fault(tmp_path: Path):
    settings = tmp_path / "route.toml"
    settings.write_text('[routes."x.y"]\nstakeholders = ["sre"]\ncard = "none"')
    lines = '{"type": "x.y"}\n{"type": "a.b", "stakeholders": "sre"}\n'

    done = notifier(
        "publish", "--dry-run", "--file", "-", stdin=lines, NOTIFIER_CONFIG=str(settings)
    )

    assert done.returncode == 1
    assert done.stderr.startswith("line 1: there is no card none.json")
    assert "line 2: a.b INFO" in done.stdout


def test_cards_check_names_file_path_and_fix_of_a_bad_card(
    tmp_path: Path,
):
    (tmp_path / "generic.json").write_text(
        '{"type": "AdaptiveCard", "version": "1.6", "actions": [{"type": "Action.Submit", "title": "${nope("}]}'
    )
    (tmp_path / "other.json").write_text(
        '{"type": "AdaptiveCard", "version": "1.6", "actions": [{"type": "Action.Submit", "title": "x"}]}'
    )

    done = notifier("cards", "check", str(tmp_path))

    assert done.returncode == 1
    assert "generic.json: $.actions[0].title" in done.stderr
    assert "other.json: $.version" in done.stderr
    assert "other.json: $.actions[0].type: Action.Submit" in done.stderr


def test_own_cards_replace_shipped_ones(tmp_path: Path):
    card = (
        (assets.cards_dir() / "claim_rejected.json")
        .read_text()
        .replace("Correlation id", "Our id")
    )
    (tmp_path / "claim_rejected.json").write_text(card)
    own = {"TEAMS_CARDS__DIRECTORY": str(tmp_path)}

    checked = notifier("cards", "check", "--seal", **own)
    listed = json.loads(notifier("cards", "list", "--json", **own).stdout)
    rendered = notifier("cards", "render", "claim_rejected", "--event", str(SAMPLE), **own)
    generic = notifier("cards", "render", "generic", "--event", str(SAMPLE), **own)
    previewed = notifier("cards", "preview", "--out", str(tmp_path / "all.html"), **own)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert {"claim_rejected", "generic", "digest"} < {each["card"] for each in listed}
    assert "Our id" in rendered.stdout
    assert "Our id" not in generic.stdout
    assert previewed.returncode == 0
    (tmp_path / "claim_rejected.json").write_text(card.replace("Our id", "${"))
    broken = notifier("cards", "check", **own)
    assert broken.returncode == 1
    assert all(f"{tmp_path}/claim_rejected.json" in line for line in broken.stderr.splitlines())


def test_a_new_card_is_sound_with_its_route(tmp_path: Path):
    folder = tmp_path / "cards"
    made = notifier(
        "cards", "new", "invoice_paid", "--type", "invoice.paid", "--field", "invoice_no", "--field", "amount",
        "--out", str(folder),
    )  # fmt: skip
    head, _, routes = made.stdout.partition("put this under [routes] in config.toml:")
    directory = head.partition("put this into config.toml:")[2]
    settings = tmp_path / "config.toml"
    settings.write_text(f"{directory}\n[routes]\n{routes}")

    assert made.returncode == 0
    assert {path.name for path in folder.rglob("*.*")} == {
        "invoice_paid.json", "invoice_paid.ar.json", "fields.toml", "invoice.paid.json",
    }  # fmt: skip
    for env in ({"NOTIFIER_CONFIG": str(settings)}, {"TEAMS_CARDS__DIRECTORY": str(folder)}):
        checked = notifier("cards", "check", **env)
        assert (checked.returncode, checked.stderr) == (0, "")
    sent = notifier(
        "publish", "invoice.paid", "--dry-run", "--field", "invoice_no=INV-7", "--field", "amount=5",
        NOTIFIER_CONFIG=str(settings),
    )  # fmt: skip
    assert "(card invoice_paid)" in sent.stdout
    assert '"text": "INV-7"' in sent.stdout

    again = notifier("cards", "new", "invoice_paid", "--out", str(folder))
    assert again.returncode == 1
    more = notifier("cards", "new", "refund", "--out", str(folder))
    assert more.returncode == 0
    assert "[invoice_paid.amount]" in (folder / "fields.toml").read_text()
    assert notifier("cards", "check", NOTIFIER_CONFIG=str(settings)).returncode == 0


def test_a_card_that_was_deleted_is_made_anew_and_mistyped_options_harm_nothing(tmp_path: Path):
    new = ("cards", "new", "refund", "--out", str(tmp_path), "--field", "amount")
    assert notifier(*new, "--type", "../elsewhere").returncode == 2
    assert list(tmp_path.iterdir()) == []

    for fields in ((), ("--field", "payer", "--field", "amount")):
        assert notifier(*new, *fields).returncode == 0
        checked = notifier("cards", "check", str(tmp_path))
        assert (checked.returncode, checked.stderr) == (0, "")
        (tmp_path / "samples" / "refund.json").unlink()
        for path in tmp_path.glob("refund*.json"):
            path.unlink()
    assert "[refund.payer]" in (tmp_path / "fields.toml").read_text()


def test_a_new_card_with_the_name_of_a_shipped_one_is_its_copy(tmp_path: Path):
    made = notifier(
        "cards", "new", "claim_rejected", TEAMS_CARDS__DIRECTORY=str(tmp_path / "own")
    )

    assert made.returncode == 0
    for name in ("claim_rejected.json", "claim_rejected.ar.json"):
        assert (tmp_path / "own" / name).read_bytes() == (
            assets.cards_dir() / name
        ).read_bytes()
    assert notifier("cards", "new", "Bad Name", "--out", str(tmp_path)).returncode == 2
    assert notifier("cards", "new", "mine").returncode == 2


def test_a_sample_that_is_too_large_is_previewed_shortened_as_it_is_posted(tmp_path: Path):
    folder = one_card(tmp_path / "cards", complete=True)
    sample = folder / "samples" / "nphies.claim.approved.json"
    event = json.loads(sample.read_text())
    event["data"]["notes"] = "word " * 10_000
    sample.write_text(json.dumps(event))
    own = {"TEAMS_CARDS__DIRECTORY": str(folder)}

    previewed = notifier("cards", "preview", "--out", str(tmp_path / "all.html"), **own)

    assert previewed.returncode == 0, previewed.stderr
    assert "more characters" in (tmp_path / "all.html").read_text()
