"""The action pages, in English and Arabic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from notifier.cards.html.pages import own_file, page_templates, source_hash
from notifier.escalation.acknowledge import FirstAction
from notifier.escalation.rows import NotificationFacts
from notifier.events.action import ESCALATE, MAX_NOTE, MAX_WHO
from notifier.web.public.translations import words_of

_STYLE = own_file(__package__, "action.css")
STYLE_HASH = source_hash(_STYLE)
"""For the Content-Security-Policy: this style and no other."""
_TEMPLATES = page_templates(__package__)
_TEMPLATES.globals |= {"style": _STYLE, "moment_of": datetime.fromisoformat}


@dataclass(frozen=True, slots=True)
class View:
    """A notification on a page: its facts, language, time zone and titles."""

    lang: str
    zone: ZoneInfo
    titles: Mapping[str, str]
    notification_id: str
    facts: NotificationFacts | None

    def render(self, template: str, title: str, **values: object) -> str:
        """Return the HTML of a page about this notification."""
        return _TEMPLATES.get_template(template).render(
            values,
            title=title,
            words=words_of(self.lang),
            lang=self.lang,
            zone=self.zone,
            titles=self.titles,
            notification_id=self.notification_id,
            facts=self.facts,
        )


def action_page(
    view: View,
    action: str,
    *,
    user: str | None,
    note: str | None,
    escalated: FirstAction | None,
) -> str:
    """Return the page with the facts and the form of one action.

    Args:
        view: The notification.
        action: The action.
        user: The name from single sign-on; None: it must be typed.
        note: The note of a form without a name; None: no form was sent.
        escalated: The escalation by hand, if there was one.
    """
    words, name_missing = words_of(view.lang), note is not None
    return view.render(
        "action.html",
        f"{words['error']}: {words[action]}" if name_missing else words[action],
        action=action,
        user=user,
        note=note or "",
        name_missing=name_missing,
        escalated=escalated,
        max_who=MAX_WHO,
        max_note=MAX_NOTE,
    )


def recorded_page(view: View, first: FirstAction) -> str:
    """Return the page that confirms an action."""
    words = words_of(view.lang)
    text = f"{words[f'done_{first.action}']} {words['close']}"
    return view.render("acted.html", words["done"], text=text, first=first, escalated=None)


def acted_before_page(view: View, first: FirstAction, *, tried: bool) -> str:
    """Return the page about the first action; `tried`: after a form was sent."""
    words, escalated = words_of(view.lang), first.action == ESCALATE
    shown = "escalated" if escalated else "acknowledged"
    return view.render(
        "acted.html",
        words[shown],
        text=words["another_was_first" if tried else f"{shown}_shown"],
        first=first,
        escalated=first if escalated else None,
    )


def message_page(message: str, lang: str) -> str:
    """Return a page with one message and what to do."""
    words = words_of(lang)
    return _TEMPLATES.get_template("message.html").render(
        lang=lang, title=words[message], text=words[f"{message}_text"]
    )
