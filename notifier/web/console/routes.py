"""Which address of the console shows what."""

from __future__ import annotations

from aiohttp import web

from notifier.web.admin.access import CONSOLE, HOME
from notifier.web.console.dead_letter_actions import DeadLetterActions
from notifier.web.console.dead_letters import DeadLetterPages
from notifier.web.console.forms import FormSeal
from notifier.web.console.notifications import NotificationPages
from notifier.web.console.overview import OverviewPage
from notifier.web.console.pages import Pages
from notifier.web.console.parts import ConsoleDependencies
from notifier.web.console.search import SearchPage
from notifier.web.console.streams import StreamsReader


def add_console(app: web.Application, parts: ConsoleDependencies) -> None:
    """Add the pages to the admin listener; who may open them is decided by its guard."""
    pages, seal = Pages(parts), FormSeal.fresh()
    overview = OverviewPage(parts, pages, StreamsReader(parts))
    letters = DeadLetterPages(parts, pages, seal)
    actions = DeadLetterActions(parts, pages, seal, letters)
    notifications = NotificationPages(parts, pages)
    search = SearchPage(parts, pages)

    async def missing(request: web.Request) -> web.Response:
        return pages.message(
            request, "There is no such page", "Choose one of the pages above.", status=404
        )

    async def home(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": CONSOLE})

    app.add_routes([
        web.get(HOME, home),
        web.get(CONSOLE, overview.show),
        web.get(f"{CONSOLE}/", home),
        web.get(f"{CONSOLE}/critical", notifications.critical),
        web.get(f"{CONSOLE}/dead-letters", letters.list),
        web.get(f"{CONSOLE}/dead-letters/letter", letters.show),
        web.get(f"{CONSOLE}/dead-letters/confirm", letters.confirm),
        web.post(f"{CONSOLE}/dead-letters/replay", actions.replay),
        web.post(f"{CONSOLE}/dead-letters/discard", actions.discard),
        web.get(f"{CONSOLE}/notifications", notifications.list),
        web.get(f"{CONSOLE}/notifications/{{id}}", notifications.show),
        web.get(f"{CONSOLE}/notifications/{{id}}/card", notifications.card),
        web.get(f"{CONSOLE}/search", search.show),
        web.get(f"{CONSOLE}/{{rest:.*}}", missing),
    ])  # fmt: skip
