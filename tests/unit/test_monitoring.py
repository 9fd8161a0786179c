"""Rules, dashboard and example settings are valid; alerts are tried."""

from __future__ import annotations

import functools
import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from notifier.config import load_config
from notifier.daemon.gauges import start_series
from notifier.telemetry import metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
ALWAYS = "NotifierWatchdog"
"""The one alert that is never quiet."""

FOREIGN = {
    "up": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate"},
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_notifications_alertmanagers_discovered": set(),
    "prometheus_notifications_dropped_total": set(),
    "alertmanager_notifications_failed_total": {"instance"},
    "teams_notifier_test_coverage_ratio": set(),
    "process_start_time_seconds": {"job"},
    "process_open_fds": {"job"},
    "process_max_fds": {"job"},
    "process_resident_memory_bytes": {"job"},
    "process_cpu_seconds_total": {"job"},
}
"""Metrics of all sources, with the labels that queries may use."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed (Debian: apt install prometheus)",
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None,
    reason="amtool is not installed (Debian: apt install prometheus-alertmanager)",
)


@functools.cache
def rules() -> list[dict[str, Any]]:
    files = sorted(PROMETHEUS.glob("*.rules.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / "grafana" / "notifier.json").read_text())
    return found


def panel_queries() -> Iterator[tuple[str, str]]:
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def filled_in(query: str) -> str:
    """Return a panel's query with what Grafana puts in for its variables."""
    return (
        query.replace("$__rate_interval", "1m")
        .replace("$stream", ".*")
        .replace("$channel", ".*")
    )


@functools.cache
def known_series() -> dict[str, set[str]]:
    """Return the labels of each series: metrics, recorded rules, others."""
    known = {name: set(labels) for name, labels in FOREIGN.items()}
    for collector in dict.fromkeys(metrics.REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in metrics.REGISTRY._collector_to_names[collector]:
            kind = getattr(collector, "_type", "")
            bare = kind in ("counter", "histogram") and name == collector._name
            if not name.startswith("teams_") or bare or name.endswith("_created"):
                continue
            le = {"le"} if name.endswith("_bucket") else set()
            known[name] = labels | le | {"instance"}
    for rule in rules():
        if "record" in rule:
            by = re.search(r"by \(([^)]*)\)", rule["expr"])
            known[rule["record"]] = set(re.split(r",\s*", by[1])) - {"le"} if by else set()
    return known


def faults(query: str, known: dict[str, set[str]]) -> list[str]:
    """Return what a query names that does not exist."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    found: list[str] = []
    named: set[str] = set()
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?", bare):
        if not re.match(
            r"teams_|notifier:|process_|prometheus_|alertmanager_|up$|ALERTS$", name
        ):
            continue
        if name not in known:
            found.append(f"no metric {name}")
            continue
        named |= known[name]
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        found += [f"{name} has no label {label}" for label in sorted(labels - known[name])]
    for group in re.findall(r"\bby\s*\(([^)]*)\)", bare):
        wanted = set(filter(None, re.split(r"[,\s]+", group)))
        found += [f"no label {label} to group by" for label in sorted(wanted - named)]
    return found


def test_the_check_of_names_finds_what_does_not_exist():
    known = known_series()
    assert faults(
        'sum by (channel) (rate(teams_dead_letters_total{reason="x"}[5m]))', known
    ) == ["no label channel to group by"]
    assert faults("max(teams_dead_letters)", known) == ["no metric teams_dead_letters"]
    assert faults('teams_part_up{channel="sre"}', known) == [
        "teams_part_up has no label channel"
    ]
    assert faults("notifier:delivery_rate:ratio7d", known) == [
        "no metric notifier:delivery_rate:ratio7d"
    ]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]):
    assert faults(rule["expr"], known_series()) == []


def test_every_panel_asks_for_metrics_and_labels_that_exist():
    known = known_series()
    assert [fault for _, query in panel_queries() for fault in faults(query, known)] == []


def test_every_metric_of_the_daemon_is_on_the_dashboard_or_in_a_rule():
    asked = " ".join([*(rule["expr"] for rule in rules()), *(q for _, q in panel_queries())])
    for collector, names in metrics.REGISTRY._collector_to_names.items():
        for name in names[:1]:
            assert not name.startswith("teams_") or name in asked, (name, collector)


def test_label_values_in_queries_are_those_that_the_daemon_writes():
    start_series(load_config(None, {}))
    text = metrics.exposition().decode()
    asked = [*(rule["expr"] for rule in rules()), *(query for _, query in panel_queries())]
    for label in ("status", "priority", "event_type"):
        for value in {v for query in asked for v in re.findall(rf'\b{label}="([^"]+)"', query)}:
            assert f'{label}="{value}"' in text, (label, value)
    for value in {v for query in asked for v in re.findall(r'\ble="([^"]+)"', query)}:
        assert f'le="{value}"' in text, value


def test_the_coverage_metric_is_the_one_that_make_cov_writes():
    assert 'printf "teams_notifier_test_coverage_ratio %' in (ROOT / "Makefile").read_text()


def test_the_targets_are_those_of_the_seed():
    expressions = {rule["alert"]: rule["expr"] for rule in alerts()}
    targets = {
        "NotifierDeliveryRateLow": "notifier:delivery_rate:ratio24h < 0.99",
        "NotifierAcknowledgementSlow": "notifier:acknowledgement_critical_seconds:avg24h > 300",
        "NotifierTestCoverageLow": "notifier:test_coverage:ratio < 0.85",
        "NotifierLatencyTargetMissed": "notifier:webhook_latency_seconds:p95_24h > 2",
        "NotifierUnacknowledgedCritical": "notifier:unacknowledged_critical:sum >= 10",
    }
    assert {name: expressions[name] for name in targets} == targets
    first = [panel for panel in dashboard()["panels"] if panel["type"] == "stat"][:5]
    shown = {panel["targets"][0]["expr"] for panel in first}
    assert shown == {re.split(r" [<>]", expression)[0] for expression in targets.values()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_how_urgent_it_is_and_what_to_do(alert: dict[str, Any]):
    assert alert["labels"]["severity"] in ("critical", "warning", "info", "none")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, anchor = notes["runbook_url"].split("#")
    section = re.search(
        rf"^## {alert['alert']}\n+(.+?)(?=^#|\Z)",
        (ROOT / page).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert anchor == alert["alert"].lower()
    assert section, f"{page} has no section {alert['alert']}"
    assert len(section[1].split()) >= 5
    assert len(f"{notes['description']} {section[1]}".split()) > 15


def test_every_section_about_an_alert_is_about_one_that_exists():
    written = re.findall(
        r"^## (Notifier\w+)", (ROOT / "docs/reference/alerts.md").read_text(), re.M
    )
    assert sorted(written) == sorted(alert["alert"] for alert in alerts())


def test_every_alert_is_tried_in_failure_and_in_quiet():
    cases = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    fired: set[str] = set()
    quiet: set[str] = set()
    for case in cases:
        for check in case.get("promql_expr_test", []):
            names = set(re.findall(r"Notifier\w+", check["expr"]))
            if "!=" in check["expr"]:
                continue
            (fired if check["exp_samples"] else quiet).update(names)
    names = {alert["alert"] for alert in alerts()}
    assert fired == names
    assert quiet == names - {ALWAYS}


@needs_promtool
def test_prometheus_takes_the_rules_and_the_example():
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("file", sorted(path.name for path in PROMETHEUS.glob("*.test.yml")))
def test_the_cases_of_rules_hold(file: str):
    done = subprocess.run(
        ["promtool", "test", "rules", file], cwd=PROMETHEUS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@needs_promtool
def test_a_case_that_does_not_hold_is_found(tmp_path: Path):
    for path in PROMETHEUS.glob("*.yml"):
        text = path.read_text().replace("> 300\n        for: 2m", "> 3000\n        for: 2m")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts.test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "NotifierUrgentLaneLate" in done.stdout + done.stderr


@needs_promtool
def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path):
    recorded = [
        {"record": f"panel:{number}", "expr": filled_in(query)}
        for number, (_, query) in enumerate(panel_queries())
    ]
    assert len(recorded) > 50
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def alertmanager_settings() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())
    return settings


@needs_amtool
def test_alertmanager_takes_the_example_and_routes_by_urgency(tmp_path: Path):
    settings = alertmanager_settings()
    version = subprocess.run(["amtool", "--version"], capture_output=True, text=True)
    number = re.search(r"version (\d+)\.(\d+)", version.stdout + version.stderr)
    assert number
    if (int(number[1]), int(number[2])) < (0, 28):
        # Debian's is older than the receiver for Teams workflows.
        for receiver in settings["receivers"]:
            receiver.pop("msteamsv2_configs", None)
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(settings))

    done = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for labels, receiver in (
        (["alertname=NotifierAllDown", "severity=critical"], "on_call"),
        (["alertname=NotifierRecorderLate", "severity=warning"], "teams"),
        (["alertname=NotifierTestCoverageLow", "severity=info"], "teams"),
        ([f"alertname={ALWAYS}", "severity=none"], "heartbeat"),
    ):
        command = ["amtool", "config", "routes", "test", f"--config.file={file}", *labels]
        routed = subprocess.run(command, capture_output=True, text=True)
        assert routed.stdout.strip() == receiver, labels


def test_receivers_post_to_teams_without_notifier_and_as_alertmanager_knows_it():
    settings = alertmanager_settings()
    receivers = {receiver["name"]: receiver for receiver in settings["receivers"]}
    assert receivers["on_call"]["email_configs"]
    for receiver in receivers.values():
        for teams in receiver.get("msteamsv2_configs", []):
            assert set(teams) <= {"webhook_url_file", "send_resolved", "title", "text"}
    admin = load_config(None, {}).admin.bind
    assert admin.rpartition(":")[2] not in json.dumps(settings)


def test_inhibitions_name_alerts_that_exist():
    names = {alert["alert"] for alert in alerts()}
    for rule in alertmanager_settings()["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            [matcher] = rule[side]
            pattern = re.fullmatch(r'alertname=~?"(.+)"', matcher)
            assert pattern
            prefix, _, rest = pattern[1].partition("(")
            meant = [prefix + part for part in rest.rstrip(")").split("|")]
            assert set(meant) <= names, matcher


def test_the_dashboard_is_what_its_generator_writes(monkeypatch: pytest.MonkeyPatch):
    written = (MONITORING / "grafana" / "notifier.json").read_text()
    monkeypatch.syspath_prepend(str(MONITORING / "grafana"))
    build = runpy.run_path(str(MONITORING / "grafana" / "build.py"))
    assert written == build["text"](), "run: python monitoring/grafana/build.py"


def test_panels_have_room_names_and_explanations():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["type"] == "row" or panel["description"]


@pytest.mark.parametrize(
    "file",
    sorted((MONITORING / "grafana" / "provisioning").rglob("*.yml")),
    ids=lambda f: f.name,
)
def test_provisioning_files_are_of_the_form_that_grafana_reads(file: Path):
    written = yaml.safe_load(file.read_text())
    assert written["apiVersion"] == 1
    [entry] = written[file.parent.name if file.parent.name == "datasources" else "providers"]
    assert entry["name"]
    assert entry["type"] == ("prometheus" if file.parent.name == "datasources" else "file")
