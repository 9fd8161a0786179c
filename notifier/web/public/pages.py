"""The HTML of action pages, in English and Arabic; every value is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from zoneinfo import ZoneInfo

from notifier.escalation.acknowledge import FirstAction
from notifier.escalation.action_repository import NotificationFacts
from notifier.events.action import ESCALATE, MAX_NOTE, MAX_WHO
from notifier.web.public.words import words_of

_STYLE = files(__package__).joinpath("static/action.css").read_text(encoding="utf-8")
STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""What a Content-Security-Policy allows: this style and no other."""


@dataclass(frozen=True, slots=True)
class Form:
    """What has been entered so far."""

    user: str | None = None
    """The name that single sign-on vouches for; None: it is typed."""
    note: str = ""
    name_missing: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """How a page is shown: language, time zone and the titles of the channels."""

    lang: str
    zone: ZoneInfo
    titles: Mapping[str, str]

    def channel(self, name: str) -> str:
        """Write a channel by its title."""
        return f"<bdi>{escape(self.titles.get(name, name))}</bdi>"

    def time(self, moment: datetime) -> str:
        """Write a moment in the page's time zone."""
        local = moment.astimezone(self.zone)
        return (
            f'<time datetime="{escape(moment.isoformat())}">'
            f'<bdi dir="ltr">{local:%Y-%m-%d %H:%M}</bdi> <bdi>({escape(self.zone.key)})</bdi></time>'
        )


def action_page(
    action: str,
    notification_id: str,
    facts: NotificationFacts | None,
    form: Form,
    view: View,
    *,
    escalated: FirstAction | None = None,
) -> str:
    """Return the page with the facts and the form of one action; it says so if the event was escalated by hand."""
    words = words_of(view.lang)
    problem = ""
    if form.name_missing:
        problem = (
            '<div class="problem" role="alert" tabindex="-1" autofocus aria-labelledby="problem">'
            f'<h2 id="problem">{words["problem"]}</h2><p><a href="#who">{words["need_who"]}</a></p></div>'
        )
    body = (
        f"{problem}<h1>{words[action]}</h1>{_summary(facts)}{_open(escalated, view)}<p>{words[f'about_{action}']}</p>"
        f"{_form(action, form, words)}{_facts(notification_id, facts, view, acting=True)}"
    )
    title = f"{words['error']}: {words[action]}" if form.name_missing else words[action]
    return _html(title, body, view.lang)


def done_page(
    taken: FirstAction, notification_id: str, facts: NotificationFacts | None, view: View
) -> str:
    """Return the page that says what was recorded."""
    words = words_of(view.lang)
    body = (
        f"<h1>{words['done']}</h1>{_summary(facts)}<p>{words[f'done_{taken.action}']} {words['close']}</p>"
        f"{_taken(taken, view)}{_facts(notification_id, facts, view)}"
    )
    return _html(words["done"], body, view.lang, kind="done")


def taken_page(
    taken: FirstAction,
    notification_id: str,
    facts: NotificationFacts | None,
    view: View,
    *,
    tried: bool,
) -> str:
    """Return the page that says who was first."""
    words = words_of(view.lang)
    escalated = taken.action == ESCALATE
    title = words["escalated" if escalated else "taken"]
    text = words["taken_text" if tried else "escalated_shown" if escalated else "taken_shown"]
    body = (
        f"<h1>{title}</h1>{_summary(facts)}{_open(taken if escalated else None, view)}<p>{text}</p>"
        f"{_taken(taken, view)}{_facts(notification_id, facts, view)}"
    )
    return _html(title, body, view.lang, kind="done")


def message_page(message: str, lang: str) -> str:
    """Return a page that says one thing and what to do."""
    words = words_of(lang)
    body = f"<h1>{words[message]}</h1><p>{words[f'{message}_text']}</p>"
    return _html(words[message], body, lang, kind="stop")


def plain_page(title: str, body: str) -> str:
    """Return an English page with this heading in its tab and this HTML in its body."""
    return _html(title, body, "en")


def _form(action: str, form: Form, words: Mapping[str, str]) -> str:
    if form.user is None:
        wrong = f'<p class="wrong" id="who-wrong">{words["need_who"]}</p>'
        described = "who-wrong who-hint" if form.name_missing else "who-hint"
        invalid = ' aria-invalid="true"' if form.name_missing else ""
        name = (
            f'<label for="who">{words["who"]}</label><p class="hint" id="who-hint">{words["who_hint"]}</p>'
            f"{wrong if form.name_missing else ''}"
            f'<input id="who" name="who" required maxlength="{MAX_WHO}" autocomplete="name" aria-describedby="{described}"{invalid}>'
        )
    else:
        name = f"<p>{words['signed_in']} <strong><bdi>{escape(form.user)}</bdi></strong></p>"
    return (
        f'<form method="post">{name}'
        f'<label for="note">{words["note"]} <span class="optional">({words["optional"]})</span></label>'
        f'<p class="hint" id="note-hint">{words["note_hint"]}</p>'
        f'<textarea id="note" name="note" rows="3" maxlength="{MAX_NOTE}" dir="auto" aria-describedby="note-hint">'
        f"\n{escape(form.note)}</textarea><button>{words[action]}</button></form>"
    )


def _summary(facts: NotificationFacts | None) -> str:
    if facts is None or not facts.summary:
        return ""
    return f'<p class="lead" dir="auto">{escape(facts.summary)}</p>'


def _open(escalated: FirstAction | None, view: View) -> str:
    """Return who escalated an event that nobody has acknowledged yet, and to which channel."""
    if escalated is None:
        return ""
    text = words_of(view.lang)["escalated_to" if escalated.to else "escalated_on"]
    return f"<p>{text.format(who=_name(escalated.who), to=view.channel(escalated.to))}</p>"


def _taken(taken: FirstAction, view: View) -> str:
    words = words_of(view.lang)
    rows = [
        (words["by"], _name(taken.who)),
        (words["action"], escape(words.get(taken.action, taken.action))),
        (words["at"], view.time(datetime.fromisoformat(taken.at))),
    ]
    if taken.channel:
        rows.append((words["in"], view.channel(taken.channel)))
    return _list(rows)


def _name(who: str) -> str:
    return f'<bdi dir="auto">{escape(who)}</bdi>'


def _facts(
    notification_id: str, facts: NotificationFacts | None, view: View, *, acting: bool = False
) -> str:
    words = words_of(view.lang)
    rows: list[tuple[str, str]] = []
    if facts is not None:
        rows = [
            (words["priority"], words.get(facts.priority, facts.priority)),
            (words["event_type"], _code(facts.event_type)),
            (words["channel"], view.channel(facts.channel)),
            (words["sent_at"], view.time(facts.sent_at)),
            (words["correlation_id"], _code(facts.correlation_id)),
        ]
    rows.append((words["notification"], _code(notification_id)))
    missing = "" if facts or not acting else f"<p>{words['no_facts']}</p>"
    return f"<h2>{words['details']}</h2>{missing}{_list(rows)}"


def _code(text: str) -> str:
    return f'<bdi dir="ltr">{escape(text)}</bdi>'


def _list(rows: list[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{term}</dt><dd>{value}</dd>' for term, value in rows)}</dl>"


def _html(title: str, body: str, lang: str, *, kind: str = "") -> str:
    code, direction = ("ar", "rtl") if lang == "ar" else ("en", "ltr")
    return (
        f'<!doctype html><html lang="{code}" dir="{direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f'<body><main><article class="{kind}">{body}</article></main></body></html>'
    )
