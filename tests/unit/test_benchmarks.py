"""The benchmark's figures and page, from invented results."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import page, plot, tables
from benchmarks.contenders.string_card import body_of, card_of
from benchmarks.figures import median, percentile, spread
from benchmarks.targets import verdicts
from benchmarks.work import CHANNELS, event, event_bytes, fields
from notifier.events.entry import parse_entry

ROOT = Path(__file__).parents[2]


def contender(cpu_us: float, per_second: float) -> dict[str, float]:
    return {"cpu_us": cpu_us, "per_second": per_second, "pss_mb": 50.0, "highest_mb": 60.0}


RESULTS = {
    "titles": {"notifier": "notifier", "floor": "floor", "celery": "Celery 1.0"},
    "throughput": {
        "events": 10,
        "rounds": 1,
        "contenders": {
            "notifier": contender(150.0, 900.0),
            "floor": contender(100.0, 1800.0),
            "celery": contender(1500.0, 100.0),
        },
    },
}


def test_median_of_even_and_odd_numbers_of_values():
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentile_is_the_nearest_rank(percent: float, value: float):
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_percentile_of_one_value_is_that_value():
    assert percentile([7.0], 99) == 7.0


def test_spread_is_relative_to_the_median():
    assert spread([9.0, 10.0, 12.0]) == pytest.approx(0.3)


def test_ratios_set_every_contender_beside_notifier():
    rows = tables.ratios(RESULTS).splitlines()

    assert "| notifier | 150 | 1.00 | 900 | 1.0 | 50 |" in rows
    assert "| floor | 100 | 0.67 | 1800 | 0.5 | 50 |" in rows
    assert "| Celery 1.0 | 1500 | 10.00 | 100 | 9.0 | 50 |" in rows


def test_targets_are_met_at_their_bound_and_missed_beyond():
    floor, celery = verdicts(RESULTS)
    assert (floor.measured, floor.met) == ("1.5", True)
    assert (celery.measured, celery.met) == ("9", True)

    slow = {"throughput": {"contenders": {"notifier": contender(151.0, 700.0), "floor": contender(100.0, 1.0), "celery": contender(1.0, 100.0)}}}  # fmt: skip
    assert [verdict.met for verdict in verdicts(slow)] == [False, False]


@pytest.mark.parametrize(
    ("share", "late", "met"), [(0.1, 5.0, [True, True]), (0.11, 5.1, [False, False])]
)
def test_escalation_has_its_targets(share: float, late: float, met: list[bool]):
    part = {
        "share": share,
        "waiting": 100_000,
        "late_behind_waiting_s": 0.1,
        "late_behind_due_s": late,
    }

    assert [verdict.met for verdict in verdicts({"escalation": part})] == met


@pytest.mark.parametrize(
    ("cpus", "ratio", "met"), [(2, 1.1, None), (2, 1.8, True), (8, 1.1, False), (8, 1.7, True)]
)
def test_two_processes_are_judged_only_where_there_are_cores_for_them(
    cpus: int, ratio: float, met: bool | None
):
    [verdict] = verdicts({"two": {"cpus": cpus, "ratio": ratio}})

    assert verdict.met is met


def test_a_plot_is_valid_xml_with_bars_in_proportion():
    text = plot.bars("T < 1", {"a": 50.0, "b": 100.0}, unit="µs", own="a")
    _, *bars = ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}rect")

    short, long = (int(bar.attrib["width"]) for bar in bars)
    assert short * 2 == long


def test_the_page_says_what_the_last_run_has_measured():
    results = json.loads((ROOT / "benchmarks" / "results" / "bench.json").read_text())

    assert (ROOT / "docs" / "explanation" / "benchmarks.md").read_text() == page.page(results)


def test_every_event_is_one_that_notifier_takes_for_one_channel():
    entry = {name.encode(): value.encode() for name, value in fields(13).items()}
    taken = parse_entry("teams:events", "1-1", entry, max_bytes=10_000)

    assert taken.stakeholders == (CHANNELS[13 % 8],)
    assert taken.data["claim_id"] == "CLM-00000013"
    assert 550 < event_bytes(13) < 650


def test_the_string_card_is_json_whatever_the_values_hold():
    members = event(1)
    members["data"]["notes"] = 'a "quoted"\nline'  # type: ignore[index,call-overload]
    card = json.loads(body_of(card_of(members)))["attachments"][0]["content"]

    assert card["body"][2]["facts"][-1] == {"title": "Notes", "value": 'a "quoted"\nline'}
    assert 1_800 < len(body_of(card_of(event(1)))) < 2_400
