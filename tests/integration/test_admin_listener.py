"""The admin listener of a real daemon."""

from __future__ import annotations

import aiohttp

from tests.support.daemons import Daemons
from tests.support.waiting import until

TOKEN = "f1e2d3c4b5a69788796a5b4c3d2e1f00"


async def test_console_wants_the_token_and_probes_do_not(daemons: Daemons):
    await daemons.start(TEAMS_ADMIN_TOKEN=TOKEN)
    [url] = daemons.admin_urls
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/metrics") as answer:
            assert answer.status == 200
        async with session.get(f"{url}/console/login") as answer:
            assert answer.status == 200
        async with session.get(f"{url}/console") as answer:
            assert answer.status == 401
        async with session.get(f"{url}/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/console")
        async with session.post(f"{url}/") as answer:
            assert answer.status == 403
        async with session.get(f"{url}/healthz", headers={"Host": "rebound.example"}) as answer:
            assert answer.status == 421
    assert TOKEN not in daemons.log()


async def test_console_names_the_reason_as_the_commands_and_alerts_do(daemons: Daemons):
    await daemons.start()
    daemons.add({"type": "a b", "claim_id": "CLM-88"})
    await until(lambda: len(daemons.dead_entries()) == 1)
    [(letter_id, _)] = daemons.dead_entries()
    console = f"{daemons.admin_urls[0]}/console"
    query = f"id={letter_id}&stream=teams%3Aevents"
    async with aiohttp.ClientSession() as session:
        for path in (
            "dead-letters",
            f"dead-letters/letter?{query}",
            f"dead-letters/confirm?do=discard&letter={letter_id}%20teams%3Aevents",
            "search?q=CLM-88",
        ):
            async with session.get(f"{console}/{path}") as answer:
                page = await answer.text()
            assert answer.status == 200, path
            assert "Not an event" in page, path
            assert '<span class="code soft">invalid_event</span>' in page, path
        async with session.get(f"{console}/dead-letters") as answer:
            assert "No route (unroutable)" in await answer.text()
