"""What a scrape of /metrics says about real work."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.daemons import Daemons
from tests.integration.test_pipeline import left_over, rows, until, xadd


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
    xadd(daemons.redis_url, {"type": "backup.failed", "service": "db", "stakeholders": "sre"})
    xadd(daemons.redis_url, {"type": "made.up", "stakeholders": "pmo"})
    xadd(daemons.redis_url, {"type": "no.route"})
    await until(lambda: len(rows(daemons.database_url)) == 2)
    await until(lambda: not left_over(daemons.redis_url))

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
        xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "sre", "priority": "HIGH", "n": str(number)})  # fmt: skip
    await daemons.start("--stages", "recorder")

    before = await scrape(daemons.admin_urls[0])
    await daemons.start("--stages", "intake")
    await until(
        lambda: left_over(daemons.redis_url).get("{teams:events}:lane:sre:urgent") == 30
    )
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
