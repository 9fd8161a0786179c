"""The listeners of a daemon: access to the console, and attacks."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from notifier.web.http import listener
from notifier.web.http.headers import SAFE_HEADERS
from notifier.web.http.listener import BoundedRunner, bound_connections
from tests.support.action_pages import get, links, post
from tests.support.daemons import Daemons
from tests.support.waiting import until

HEADERS = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Cache-Control",
)


async def answer_to(url: str, request: bytes) -> bytes:
    """Return everything that comes back for these bytes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_malformed_requests_put_neither_token_nor_signature_into_the_log(
    daemons: Daemons,
):
    url = (await links(daemons, type="backup.failed", service="postgres"))["Acknowledge"]
    path = url.partition("/a/")[1] + url.partition("/a/")[2]
    token = path.removeprefix("/a/").partition("?")[0]
    malformed = [
        f"GET {path} HTTP/9.9\r\n\r\n",
        f"GET {path} HTTP/1.1 {token}\r\n\r\n",
        f"GE\x00T {path} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"{token} {path} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: x\r\nReferer{token}\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: x\r\nX: {token}\x00\r\n\r\n",
        f"GET {path}{token * 90} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {token * 90}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {token}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{token}\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n{token[:9]}",
        f"GET http://[{token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: x\r\nExpect: {token}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 9\r\n\r\n{token[:9]}",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 3000\r\n\r\n"
        f"--x\r\n{'A: b' * 900}\r\n{token}".ljust(4000),
        f"CONNECT {path} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: {token}\r\nConnection: Upgrade\r\n\r\n",
    ]
    before = len(daemons.log())
    for base in (url, daemons.admin_urls[0]):
        for request in malformed:
            head = (await answer_to(base, request.encode())).partition(b"\r\n\r\n")[0].decode()
            assert all(f"\r\n{name}: " in head for name in HEADERS), request
            assert "Python" not in head

    assert (await get(url))[0] == 200
    log = daemons.log()[before:]
    for secret in (token, *token.split(".")[1::3]):
        assert secret not in log
    assert "Traceback" not in log
    assert all(json.loads(line) for line in log.splitlines())
    assert "request_malformed" in log
    assert len(log.splitlines()) < 30


@pytest.fixture
def many_sockets() -> Iterator[None]:
    """Room for a flood in the test's own process; the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 8_192 if hard == resource.RLIM_INFINITY else min(hard, 8_192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_sockets")
async def test_a_flood_of_half_requests_keeps_nobody_from_being_answered(daemons: Daemons):
    url = (await links(daemons, type="backup.failed", service="postgres"))["Acknowledge"]
    before = len(daemons.log())
    flood = []
    for base in (url, daemons.admin_urls[0]):
        parts = urlsplit(base)
        for _ in range(700):
            flood.append(await asyncio.open_connection(parts.hostname, parts.port))
            flood[-1][1].write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
        assert (await get(daemons.admin_urls[0] + "/readyz"))[0] == 200
        assert (await post(url, who=" "))[0] == 422

    assert len(daemons.log()[before:].splitlines()) < 30
    assert "connections_cut" in daemons.log()
    for _, writer in flood:
        writer.close()


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], object], **options: object
) -> AsyncIterator[tuple[str, BoundedRunner]]:
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", handler)])  # type: ignore[arg-type]
    runner = BoundedRunner(app, **options)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", runner
    finally:
        await runner.cleanup()


async def answered(_: web.Request) -> web.Response:
    return web.Response(text="here")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET"])
async def test_a_connection_without_a_request_is_cut_off_first(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listener, "_CHECK_SECONDS", 0.05)
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="here")

    async with serving(slow) as (url, runner), aiohttp.ClientSession() as session:
        assert runner.server is not None
        asked = asyncio.create_task(session.get(url))
        await until(lambda: any(each.asked for each in runner.server.connections))  # type: ignore[union-attr,attr-defined]
        watch = asyncio.create_task(
            bound_connections(runner.server, longest_seconds=600, unasked_seconds=0.1)
        )
        assert await answer_to(url, sent) == b""
        release.set()
        assert (await asked).status == 200
        watch.cancel()


def all_asked(server: web.Server, count: int) -> bool:
    return sum(each.asked for each in server.connections) == count  # type: ignore[attr-defined]


async def test_bodies_that_never_come_keep_nobody_from_being_answered():
    async def reading(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="here")

    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    async with serving(reading, most=5) as (url, runner), aiohttp.ClientSession() as session:
        assert runner.server is not None
        flood = []
        for number in range(1, 12):
            flood.append(await asyncio.open_connection(*runner.addresses[0][:2]))
            flood[-1][1].write(body)
            await until(partial(all_asked, runner.server, min(number, 5)))
        try:
            async with session.get(url) as answer:
                assert answer.status == 200
        finally:
            for _, writer in flood:
                writer.close()


async def test_a_body_that_never_comes_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listener, "_CHECK_SECONDS", 0.05)

    async def reading(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    async with serving(reading) as (url, runner):
        assert runner.server is not None
        watch = asyncio.create_task(bound_connections(runner.server, longest_seconds=0.2))
        body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nwho"
        assert await answer_to(url, body) == b""
        watch.cancel()


async def test_headers_that_never_end_are_cut_off():
    async with serving(answered) as (url, _):
        lines = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 8000 + b"\r\n"

        assert b"200 OK" not in await answer_to(
            url, lines + (b"X: " + b"y" * 8000 + b"\r\n") * 12
        )


async def test_a_fault_of_a_handler_is_answered_with_our_headers_and_logged_without_its_text():
    async def failing(_: web.Request) -> web.Response:
        raise LookupError("token-of-somebody")

    async with (
        serving(failing) as (url, _),
        aiohttp.ClientSession() as session,
        session.get(url) as answer,
    ):
        text = await answer.text()
        assert answer.status == 500
        assert {name: answer.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS
    assert not re.search("token|Lookup|Traceback", text)


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
