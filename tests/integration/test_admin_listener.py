"""The admin listener of a real daemon."""

from __future__ import annotations

import aiohttp

from tests.integration.daemons import Daemons

TOKEN = "f1e2d3c4b5a69788796a5b4c3d2e1f00"


async def test_console_wants_the_token_and_probes_do_not(daemons: Daemons):
    await daemons.start(TEAMS_ADMIN_TOKEN=TOKEN)
    [url] = daemons.admin_urls
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/metrics") as answer:
            assert answer.status == 200
        async with session.get(f"{url}/console/login") as answer:
            assert answer.status == 200
        for path in ("/console", "/"):
            async with session.get(url + path) as answer:
                assert answer.status == 401
        async with session.get(f"{url}/healthz", headers={"Host": "rebound.example"}) as answer:
            assert answer.status == 421
    assert TOKEN not in daemons.log()
