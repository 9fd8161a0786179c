"""The local Teams in a real browser: it shows cards, and new ones appear."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio
from playwright.async_api import Page

from notifier.cards.library import load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.events.entry import to_event
from notifier.events.routing import Catalogue
from notifier.sandbox.local_teams import Faults, LocalTeams, listen
from tests.support.browser import MARKS, errors_of

pytestmark = MARKS


@pytest_asyncio.fixture(loop_scope="session")
async def teams() -> AsyncIterator[LocalTeams]:
    server = LocalTeams({"sre": "SRE", "pmo": "PMO"}, Faults())
    await server.start(listen(0, first=0))
    yield server
    await server.stop()


async def send(teams: LocalTeams, card: object) -> None:
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    url = teams.webhook_url("sre")
    body = {"type": "message", "attachments": [attachment]}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert answer.status == 202


def sample_card(name: str) -> object:
    config = load_config(None, {})
    members = json.loads((assets.cards_dir() / "samples" / f"{name}.json").read_text())
    event = to_event("teams:events", "1-1", members)
    [notification, *_] = (
        Catalogue(config.routes, config.channels).route(event, event.data).notifications
    )
    return CardRenderer(load_cards(assets.cards_dir()), config, None).render(notification).card


async def test_card_that_arrives_is_drawn_without_reloading(teams: LocalTeams, page: Page):
    errors = errors_of(page)
    await page.goto(f"{teams.url}/channel/sre")
    await page.get_by_text("No messages yet.").wait_for()

    await send(teams, sample_card("nphies.claim.rejected"))

    await page.locator(".message .ac-adaptiveCard").wait_for()
    text = await page.locator(".message").inner_text()
    assert "HIGH" in text
    assert "rejected" in text
    assert "${" not in text
    assert [each for each in errors if "404" not in each] == []


async def test_markup_in_event_text_is_shown_and_not_run(teams: LocalTeams, page: Page):
    hostile = "<img src=x onerror=\"document.title='owned'\"> <b>bold</b>"
    await send(
        teams,
        {
            "type": "AdaptiveCard",
            "version": "1.5",
            "body": [{"type": "TextBlock", "text": hostile}],
        },
    )
    await page.goto(f"{teams.url}/channel/sre")
    await page.locator(".message .ac-adaptiveCard").wait_for()

    assert hostile in await page.locator(".message").inner_text()
    assert await page.title() == "SRE"


async def test_overview_counts_messages_by_channel(teams: LocalTeams, page: Page):
    await page.goto(teams.url)
    await send(teams, {"type": "AdaptiveCard", "version": "1.5", "body": []})

    await page.locator("#count-sre", has_text="1").wait_for()
    assert await page.locator("#count-pmo").inner_text() == "0"


async def test_line_ends_and_arabic_dates_are_as_in_teams(teams: LocalTeams, page: Page):
    text = {"type": "TextBlock", "text": "one\ntwo {{DATE(2026-11-24T10:15:00Z,SHORT)}}"}
    card = {"type": "AdaptiveCard", "version": "1.5", "lang": "ar", "body": [text]}
    for _ in range(3):
        await send(teams, card)
    await page.goto(f"{teams.url}/channel/sre")
    await page.locator(".message .ac-adaptiveCard").nth(2).wait_for()

    shown = await page.locator(".message .ac-textBlock").all_inner_texts()
    assert len(set(shown)) == 1
    assert shown[0].startswith("one two")
    assert "نوفمبر" in shown[0]


async def test_a_card_that_teams_would_not_show_names_its_faults(teams: LocalTeams, page: Page):
    unknown = {"type": "Hologram", "text": "x"}
    await send(teams, {"type": "AdaptiveCard", "version": "1.6", "body": [unknown]})
    await send(teams, sample_card("nphies.claim.rejected"))
    await page.goto(f"{teams.url}/channel/sre")
    await page.locator(".message .ac-adaptiveCard").nth(1).wait_for()

    notes = await page.locator(".message .refused").all_inner_texts()
    assert len(notes) == 2
    assert any("$.version" in note for note in notes)
    assert any("Hologram" in note for note in notes)
