"""The answer of /metrics after real work, and while Postgres hangs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from notifier.config import Config, load_config
from notifier.daemon.gauges import UnacknowledgedGauge
from notifier.dead_letters.model import Reason
from notifier.store.pool import Pool
from notifier.telemetry import metrics
from tests.support.daemons import Daemons
from tests.support.databases import reading
from tests.support.escalation import acknowledge, record
from tests.support.proxy import Proxy
from tests.support.service import Service
from tests.support.waiting import until


async def scrape(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: dict, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


async def test_metrics_count_what_was_routed_delivered_recorded_and_buried(daemons: Daemons):
    await daemons.start()
    daemons.receiver.answer(500, times=1)
    daemons.publish(type="backup.failed", service="db")
    daemons.publish(type="made.up", stakeholders="pmo")
    daemons.add({"type": "no.route"})
    await until(lambda: len(daemons.rows()) == 2)
    await until(lambda: not daemons.left_over())

    samples = await scrape(daemons.admin_urls[0])

    stream = "teams:events"
    assert value(samples, "teams_events_total", stream=stream, result="routed") == 2
    assert value(samples, "teams_events_total", stream=stream, result="dead_lettered") == 1
    assert value(samples, "teams_dead_letters_total", reason="unroutable") == 1
    assert value(samples, "teams_dead_letters_kept", stream=stream) == 1
    sent = {"status": "delivered"}
    assert value(samples, "teams_notifications_sent_total", event_type="backup.failed", priority="HIGH", **sent) == 1  # fmt: skip
    assert value(samples, "teams_notifications_sent_total", event_type="other", priority="INFO", **sent) == 1  # fmt: skip
    retries = [
        value(samples, "teams_notification_retries_total", channel=c) for c in ("sre", "pmo")
    ]
    assert sorted(retries) == [0, 1]
    posts = [
        value(samples, "teams_notification_send_duration_seconds_count", channel=c)
        for c in ("sre", "pmo")
    ]
    assert sorted(posts) == [1, 2]
    assert value(samples, "teams_outcomes_recorded_total", stream=stream) == 2
    assert value(samples, "teams_recorder_delay_seconds_count", stream=stream) == 2
    assert value(samples, "teams_part_up", part=f"intake {stream}") == 1


async def test_metrics_show_how_much_waits_and_for_how_long(daemons: Daemons):
    for number in range(30):
        daemons.publish(priority="HIGH", n=str(number))
    await daemons.start("--stages", "recorder")

    before = await scrape(daemons.admin_urls[0])
    await daemons.start("--stages", "intake")
    await until(lambda: daemons.left_over().get("{teams:events}:lane:sre:urgent") == 30)
    after = await scrape(daemons.admin_urls[1])

    intake = {"stream": "teams:events", "stage": "intake", "channel": "", "urgency": ""}
    lane = {
        "stream": "teams:events",
        "stage": "delivery",
        "channel": "sre",
        "urgency": "urgent",
    }
    assert value(before, "teams_stream_backlog_entries", **intake) == 30
    assert (value(before, "teams_stream_oldest_entry_age_seconds", **intake) or 0) > 0
    assert value(before, "teams_stream_backlog_entries", **lane) == 0
    assert value(after, "teams_stream_backlog_entries", **intake) == 0
    assert value(after, "teams_stream_backlog_entries", **lane) == 30
    assert (value(after, "teams_stream_oldest_entry_age_seconds", **lane) or 0) > 0


UNANSWERED = "teams_unacknowledged_critical_notifications"
OLDEST = "teams_unacknowledged_critical_oldest_age_seconds"
NO_ESCALATION = {"TEAMS_ESCALATION__ENABLED": "0"}


async def test_metrics_count_critical_events_that_nobody_took_in_any_channel(daemons: Daemons):
    now = datetime.now(UTC)
    record(daemons.database_url, "open", "sre devops", at=now - timedelta(minutes=9))
    record(daemons.database_url, "also open", "sre", at=now - timedelta(minutes=3))
    record(daemons.database_url, "high", "sre", priority="HIGH", at=now)
    record(daemons.database_url, "forgotten", "pmo", at=now - timedelta(days=8))
    [taken, _] = record(daemons.database_url, "taken", "sre cloudops", at=now)
    acknowledge(daemons.database_url, taken)
    [passed_on, _] = record(daemons.database_url, "passed on", "sre cloudops", at=now)
    acknowledge(daemons.database_url, passed_on, "escalate")
    await daemons.start(**NO_ESCALATION)

    samples = await scrape(daemons.admin_urls[0])

    assert value(samples, UNANSWERED, channel="sre") == 2
    assert value(samples, UNANSWERED, channel="devops") == 1
    assert value(samples, UNANSWERED, channel="cloudops") == 1
    assert value(samples, UNANSWERED, channel="pmo") == 0
    assert 540 <= (value(samples, OLDEST, channel="sre") or 0) < 900
    assert value(samples, OLDEST, channel="pmo") == 0
    for source in ("redis", "postgres"):
        assert value(samples, "teams_observed_timestamp_seconds", source=source)


async def test_the_count_follows_the_view_of_the_checklist(daemons: Daemons):
    now = datetime.now(UTC)
    record(daemons.database_url, "open", "sre devops", at=now)
    [taken, *_] = record(daemons.database_url, "taken", "sre cloudops", at=now)
    acknowledge(daemons.database_url, taken)
    await daemons.start(**NO_ESCALATION)

    samples = await scrape(daemons.admin_urls[0])

    counted = sum(number for (name, _), number in samples.items() if name == UNANSWERED)
    view = "SELECT COUNT(*) AS n FROM teams_notifications_unacknowledged_critical"
    assert counted == daemons.rows(view)[0]["n"] == 2


async def test_without_postgres_metrics_are_served_and_claim_nothing_about_it(
    daemons: Daemons,
):
    daemons.database_url = "postgresql://nobody@127.0.0.1:1/none"
    await daemons.start(ready=False)
    await until(lambda: "database_away" in daemons.log())
    samples: dict = {}
    async with asyncio.timeout(60):
        while value(samples, "teams_observed_timestamp_seconds", source="redis") is None:
            try:
                samples = await scrape(daemons.admin_urls[0])
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)

    assert not [name for name, _ in samples if name in (UNANSWERED, OLDEST)]
    assert value(samples, "teams_observed_timestamp_seconds", source="postgres") is None


async def test_every_dead_letter_reason_is_counted_from_nought(daemons: Daemons):
    await daemons.start()

    samples = await scrape(daemons.admin_urls[0])

    for reason in Reason:
        assert value(samples, "teams_dead_letters_total", reason=reason.value) == 0
    sent = {"event_type": "nphies.api.error", "priority": "CRITICAL"}
    for status in ("delivered", "dead_lettered"):
        assert value(samples, "teams_notifications_sent_total", status=status, **sent) == 0
    posts = "teams_notification_send_duration_seconds_count"
    assert value(samples, posts, channel="sre") == 0


async def test_a_refused_reload_shows_in_metrics_until_one_is_taken(
    daemons: Daemons, service: Service
):
    await service.start()
    url = daemons.admin_urls[0]
    part = {"part": "configuration"}
    assert value(await scrape(url), "teams_part_warning", **part) is None

    await service.reload("[delivery]\nin_flight = 0\n", refused=True)
    assert value(await scrape(url), "teams_part_warning", **part) == 1

    await service.reload("[delivery]\nin_flight = 3\n")
    assert value(await scrape(url), "teams_part_warning", **part) == 0


async def test_a_channel_that_a_reload_took_away_has_no_gauges_and_no_component_any_more(
    daemons: Daemons, service: Service
):
    await service.start('[channels]\nnight = { title = "Night" }\n')
    url = daemons.admin_urls[0]
    gauges = {
        "teams_channel_breaker_open",
        "teams_channel_paused_seconds",
        "teams_notifications_in_flight",
        "teams_stream_backlog_entries",
        "teams_stream_oldest_entry_age_seconds",
    }

    async def gauges_of(channel: str) -> set[str]:
        names = {name for name, labels in await scrape(url) if ("channel", channel) in labels}
        return names & gauges

    async with asyncio.timeout(60):
        while await gauges_of("night") != gauges:
            await asyncio.sleep(0.05)
    component = {"part": "delivery teams:events night"}
    assert value(await scrape(url), "teams_part_up", **component) == 1

    await service.reload("")

    async with asyncio.timeout(60):
        while await gauges_of("night"):
            await asyncio.sleep(0.05)
        while value(await scrape(url), "teams_part_up", **component) is not None:
            await asyncio.sleep(0.05)
    assert await gauges_of("sre") == gauges


def shown_gauge() -> dict[str, float]:
    return {
        sample.labels["channel"]: sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if sample.name == "teams_unacknowledged_critical_notifications"
    }


async def test_a_postgres_that_hangs_holds_up_no_scrape_and_is_asked_again_later(
    database_url: str,
):
    record(database_url, "open", "sre", at=datetime.now(UTC))
    parts = urlsplit(database_url)
    way = Proxy(parts.hostname or "", parts.port or 0)
    async with way.serving():
        url = database_url.replace(f":{parts.port}/", f":{way.port}/")
        pool = Pool(reading(url))
        config: Config = load_config(None, {"DATABASE_URL": url})
        gauge = UnacknowledgedGauge(
            lambda: config, partial(pool.connection, 3), interval_seconds=0
        )
        await gauge.observe()
        assert shown_gauge()["sre"] == 1

        way.open.clear()
        async with asyncio.timeout(9):  # the driver alone takes 13 s to give up
            await gauge.observe()
        assert shown_gauge() == {}

        way.open.set()
        async with asyncio.timeout(60):
            while shown_gauge().get("sre") != 1:
                await gauge.observe()
        await pool.close()
