"""The gauge of unacknowledged notifications, while Postgres hangs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from notifier.config import Config, load_config
from notifier.daemon.gauges import UnacknowledgedGauge
from notifier.store.pool import Pool
from notifier.telemetry import metrics
from tests.support.databases import reading
from tests.support.escalation import record
from tests.support.proxy import Proxy


def shown() -> dict[str, float]:
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
        assert shown()["sre"] == 1

        way.open.clear()
        async with asyncio.timeout(9):  # the driver alone takes 13 s to give up
            await gauge.observe()
        assert shown() == {}

        way.open.set()
        async with asyncio.timeout(60):
            while shown().get("sre") != 1:
                await gauge.observe()
        await pool.close()
