"""A slow Postgres gets smaller batches, and the recorded rows stay."""

from __future__ import annotations

import psycopg

from tests.support.daemons import Daemons
from tests.support.state import rows, xadd
from tests.support.waiting import until

_SLOW = """
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
    CREATE TRIGGER dawdle BEFORE INSERT ON teams_notifications FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


async def test_a_batch_that_always_runs_into_the_statement_timeout_is_recorded_in_smaller_ones(
    daemons: Daemons,
):
    for number in range(200):
        xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "sre", "id": f"slow{number}"})
    await daemons.start("--stages", "intake,delivery")
    await until(lambda: len(daemons.receiver.requests) == 200, 60)
    with psycopg.connect(daemons.database_url) as connection:
        connection.execute(_SLOW)

    await daemons.start("--stages", "recorder", TEAMS_DATABASE__STATEMENT_TIMEOUT_SECONDS="1")

    await until(lambda: len(rows(daemons.database_url)) == 200, 60)
    assert "took too long" in daemons.log()
