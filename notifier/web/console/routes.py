"""The addresses of the console."""

from __future__ import annotations

from aiohttp import web

from notifier.web.admin.access import CONSOLE, HOME
from notifier.web.console.critical import CriticalPage
from notifier.web.console.dead_letter_actions import DeadLetterActions
from notifier.web.console.dead_letters import DeadLetterPages
from notifier.web.console.notifications import NotificationPages
from notifier.web.console.overview import OverviewPage
from notifier.web.console.pages import ConsoleDependencies, Pages
from notifier.web.console.search import SearchPage


def add_console(app: web.Application, dependencies: ConsoleDependencies) -> None:
    """Add the pages to the admin listener, behind its guard."""
    pages = Pages(dependencies)
    dead_letters = DeadLetterPages(dependencies, pages)
    actions = DeadLetterActions(dependencies, pages, dead_letters)
    notifications = NotificationPages(dependencies, pages)

    async def missing(request: web.Request) -> web.Response:
        return pages.message(request, "Page not found", "Choose a page above.", status=404)

    async def home(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": CONSOLE})

    app.add_routes([
        web.get(HOME, home),
        web.get(CONSOLE, OverviewPage(dependencies, pages).show),
        web.get(f"{CONSOLE}/", home),
        web.get(f"{CONSOLE}/critical", CriticalPage(dependencies, pages).show),
        web.get(f"{CONSOLE}/dead-letters", dead_letters.list),
        web.get(f"{CONSOLE}/dead-letters/letter", dead_letters.show),
        web.get(f"{CONSOLE}/dead-letters/confirm", dead_letters.confirm),
        web.post(f"{CONSOLE}/dead-letters/{{act:replay|discard}}", actions.act),
        web.get(f"{CONSOLE}/notifications", notifications.list),
        web.get(f"{CONSOLE}/notifications/{{id}}", notifications.show),
        web.get(f"{CONSOLE}/notifications/{{id}}/card", notifications.card),
        web.get(f"{CONSOLE}/search", SearchPage(dependencies, pages).show),
        web.get(f"{CONSOLE}/{{rest:.*}}", missing),
    ])  # fmt: skip
