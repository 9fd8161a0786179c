"""Access to the console on the admin listener, and the open probes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from notifier.config import load_config
from notifier.config.secrets import load_secrets, secret_sources
from notifier.errors import ConfigError, SecretsError
from notifier.telemetry.health import Readiness, SecretsState, Server, ServerState
from notifier.web.admin.access import COOKIE, OPERATOR, SESSION_SECONDS, AdminAccess
from notifier.web.admin.app import create_admin_app
from notifier.web.http.clients import Clients
from notifier.web.http.limits import RequestLimit

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
HERE = [ipaddress.ip_network("127.0.0.1/32")]
NETWORK, LOCAL = "0.0.0.0:9464", "127.0.0.1:9464"
PAGE = {"Accept": "text/html"}
OWN = {"Sec-Fetch-Site": "same-origin"}
"""As browsers send it from a page of the console."""


@dataclass
class World:
    """What may change while the listener runs."""

    token: str | None = TOKEN
    now: float = 1_800_000_000.0
    observed: int = 0


Start = Callable[..., Any]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def started(world: World) -> Start:
    async def act(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request[OPERATOR]}")

    @asynccontextmanager
    async def start(
        bind: str = NETWORK,
        user_header: str = "",
        allowed_hosts: tuple[str, ...] = (),
        headers: Mapping[str, str] = OWN,
    ) -> AsyncIterator[TestClient[Any, Any]]:
        async def observe() -> None:
            world.observed += 1

        async def readiness() -> Readiness:
            server, secrets = Server(ServerState.OK), SecretsState("off", "missing", "missing")
            return Readiness("test", True, {}, {}, server, server, secrets, {})

        access = AdminAccess(
            bind=bind,
            token=lambda: SecretStr(world.token) if world.token else None,
            clients=Clients(HERE if user_header else [], user_header),
            proxied=bool(user_header),
            allowed_hosts=allowed_hosts,
            limit=RequestLimit(5, lambda: world.now),
            now=lambda: world.now,
        )
        app = create_admin_app(
            readiness, instance="test", observe=observe, access=access, clock=lambda: world.now
        )
        app.add_routes([web.post("/console/x", act), web.get("/console/{rest:.*}", act)])
        async with TestClient(TestServer(app), headers=headers) as client:
            yield client

    return start


async def status(
    client: TestClient[Any, Any], path: str = "/console/x", method: str = "GET", **headers: str
) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, headers=sent, allow_redirects=False) as answer:
        return int(answer.status)


async def test_probes_need_no_token_and_everything_else_does(started: Start):
    async with started() as client:
        for probe in ("/healthz", "/readyz", "/metrics"):
            assert await status(client, probe) == 200
        for path in ("/console/x", "/console", "/console/nothing", "/anything/else"):
            assert await status(client, path) == 401
        for path in ("/", "/console/x"):
            assert await status(client, path, method="POST") == 401
        assert await status(client, Authorization=f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize(
    "given",
    ["", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", "Bearer \udcff\udcfe"],
)  # fmt: skip
async def test_anything_but_the_token_is_refused(started: Start, given: str):
    async with started() as client:
        assert await status(client, Authorization=given) == 401


async def test_network_without_protection_has_no_console_but_probes(
    started: Start, world: World
):
    world.token = None
    async with started() as client:
        assert await status(client, "/readyz") == 200
        async with client.get("/console/x") as answer:
            assert answer.status == 403
            assert "TEAMS_ADMIN_TOKEN" in await answer.text()


@pytest.mark.parametrize("bind", ["127.0.0.1:9464", "127.0.0.2:0", "[::1]:9464", "localhost:1"])
async def test_this_machine_needs_no_token_unless_there_is_one(
    started: Start, world: World, bind: str
):
    async with started(bind) as client:
        assert await status(client) == 401
        world.token = None
        assert await status(client) == 200


async def test_name_of_a_page_elsewhere_that_leads_here_is_refused(
    started: Start, world: World
):
    world.token = None
    async with started(LOCAL, allowed_hosts=("notifier.example.com",)) as client:
        for path in ("/console/x", "/readyz", "/metrics"):
            assert await status(client, path, Host="evil.example:9464") == 421
        for ours in ("localhost:9464", "127.0.0.1:9464", "[::1]:9464", "NOTIFIER.example.com"):
            assert await status(client, Host=ours) == 200


async def test_monitoring_may_call_a_network_listener_by_any_name(started: Start):
    async with started() as client:
        assert await status(client, "/metrics", Host="notifier.svc:9464") == 200
        assert (
            await status(client, Host="notifier.svc:9464", Authorization=f"Bearer {TOKEN}")
            == 421
        )


async def test_a_proxy_gives_the_name_and_without_it_the_console_is_closed(
    started: Start, world: World
):
    world.token = None
    async with started(LOCAL, user_header="X-User") as client:
        async with client.get("/console/x", headers={"X-User": "Sara"}) as answer:
            assert await answer.text() == "hello Sara"
        assert await status(client) == 401


async def log_in(client: TestClient[Any, Any], token: str, next_page: str = "") -> Any:
    where = f"/console/login?next={next_page}"
    return await client.post(where, data={"token": token}, allow_redirects=False)


async def test_a_browser_is_shown_the_login_and_comes_back_to_where_it_was(started: Start):
    async with started() as client:
        async with client.get("/console/x?a=1&b=2", headers=PAGE) as page:
            assert page.status == 200
            text = await page.text()
            assert "Admin token" in text
            login = unescape(re.search(r'action="([^"]+)"', text)[1])  # type: ignore[index]
        wrong = await client.post(login, data={"token": "wrong"}, allow_redirects=False)
        assert wrong.status == 401
        assert "wrong" in await wrong.text()
        right = await client.post(login, data={"token": TOKEN}, allow_redirects=False)
        assert right.headers["Location"] == "/console/x?a=1&b=2"
        cookie = right.cookies[COOKIE]
        assert TOKEN not in cookie.value
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert await status(client) == 200
        await client.post("/console/logout", allow_redirects=False)
        assert await status(client) == 401


async def test_every_page_behind_the_guard_may_ask_who_opens_it(started: Start):
    async with started() as client:
        # The address of the form that logs out is in the browser's history.
        assert await status(client, "/console/logout") == 200


async def test_a_session_ends_by_time_and_with_its_token(started: Start, world: World):
    async with started() as client:
        await log_in(client, TOKEN)
        assert await status(client) == 200
        world.token = "another token of 32 characters!!"
        assert await status(client) == 401
        world.token = TOKEN
        assert await status(client) == 200
        world.now += SESSION_SECONDS
        assert await status(client) == 401


@pytest.mark.parametrize("cookie", ["", "9" * 15, "9999999999.", f"9999999999.{'0' * 64}", "x"])
async def test_a_made_up_session_is_refused(started: Start, cookie: str):
    async with started() as client:
        assert await status(client, Cookie=f"{COOKIE}={cookie}") == 401


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/console", "//evil.example/console", "/\\evil.example", "/other", "javascript:alert(1)",
     "/console%0d%0aSet-Cookie:x", "http:/console"],
)  # fmt: skip
async def test_login_leads_to_no_other_site(started: Start, elsewhere: str):
    async with started() as client:
        answer = await log_in(client, TOKEN, elsewhere)
        assert answer.headers["Location"] == "/console"


async def test_guessing_is_slowed_down(started: Start):
    async with started() as client:
        answers = [await log_in(client, "guess") for _ in range(6)]
        assert [answer.status for answer in answers] == [401] * 5 + [429]
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert (await log_in(client, TOKEN)).status == 429


async def test_guessing_of_bearer_tokens_is_slowed_down_and_counts_with_the_login(
    started: Start, world: World
):
    right = f"Bearer {TOKEN}"
    async with started() as client:
        assert [await status(client, Authorization=right) for _ in range(9)] == [200] * 9
        guesses = [await status(client, Authorization=f"Bearer {n}") for n in range(6)]
        assert guesses == [401] * 5 + [429]
        assert await status(client, Authorization=right) == 429
        assert (await log_in(client, TOKEN)).status == 429
        assert await status(client, "/healthz") == 200
        world.now += 60
        assert await status(client, Authorization=right) == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)  # fmt: skip
async def test_form_of_another_site_does_nothing(
    started: Start, world: World, headers: dict[str, str]
):
    world.token = None
    async with started(LOCAL, headers={}) as client:
        assert await status(client, method="POST", **headers) == 403
        assert await status(client, method="POST", Sec_Fetch_Site="same-origin") == 200
        mine = f"http://127.0.0.1:{client.port}"
        assert await status(client, method="POST", Origin=mine) == 200


async def test_console_is_neither_kept_nor_framed(started: Start):
    async with started() as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/console/x", "/console/nothing"):
            async with client.get(path, headers=bearer) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_token_that_could_be_guessed_is_refused_without_being_shown():
    config = load_config(None, {})
    with pytest.raises(SecretsError, match="TEAMS_ADMIN_TOKEN has 9 bytes") as caught:
        load_secrets(config, secret_sources({"TEAMS_ADMIN_TOKEN": "admin1234"}, None))
    assert "admin1234" not in str(caught.value)
    given = load_secrets(config, secret_sources({"TEAMS_ADMIN_TOKEN": f"{TOKEN}\n"}, None))
    assert given.admin_token == SecretStr(TOKEN)
    placeholder = load_secrets(
        config, secret_sources({"TEAMS_ADMIN_TOKEN": "placeholder"}, None)
    )
    assert placeholder.admin_token is None
    assert TOKEN not in repr(given)


@pytest.mark.parametrize(
    ("env", "fault"),
    [
        ({"TEAMS_ADMIN__USER_HEADER": "X-User"}, "trusted_proxies"),
        ({"TEAMS_ADMIN__ALLOWED_HOSTS": "https://notifier.example"}, "host name"),
    ],
)
def test_settings_that_protect_nothing_are_refused(env: dict[str, str], fault: str):
    with pytest.raises(ConfigError, match=fault):
        load_config(None, env)


async def test_too_many_requests_for_metrics_get_the_last_ones(started: Start, world: World):
    async with started() as client:
        assert [await status(client, "/metrics") for _ in range(60)] == [200] * 60

        assert world.observed == 20 + 1
        world.now += 1
        assert [await status(client, "/metrics") for _ in range(60)] == [200] * 60
    assert world.observed == 26
