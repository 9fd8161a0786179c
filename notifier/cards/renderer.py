"""Cards: load the templates once, then render each notification with the data context of docs/cards.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pydantic import JsonValue
from typing_extensions import override

from notifier.cards.data_fields import Unused, shown_fields, unused_fields
from notifier.cards.escaping import GAP, MAX_ADDRESS, arabic_guard, guard
from notifier.cards.isolation import is_arabic, isolated
from notifier.config import Config, LinkSettings, assets
from notifier.errors import CardError, TemplateError
from notifier.events.digest import DIGEST_CARD
from notifier.events.entry import Priority
from notifier.events.json_out import to_json_bytes
from notifier.events.notification import Notification
from notifier.events.numerals import SentNumber
from notifier.templating import DataName, Template

FALLBACK_CARD = "generic"
ESCALATION_CARD = "escalation"
ACKNOWLEDGED_CARD = "acknowledged"
_ALWAYS_ESCALATES = frozenset({"claim_rejected", "nphies_api_error", "follow_up"})
_NEVER_ESCALATES = frozenset(
    {
        "claim_submitted",
        "claim_approved",
        "eligibility",
        "celery_task",
        "generic",
        ESCALATION_CARD,
    }
)

_PRIORITY_LOOKS: dict[Priority, tuple[str, str]] = {
    Priority.CRITICAL: ("🔴", "attention"),
    Priority.HIGH: ("🟠", "warning"),
    Priority.MEDIUM: ("🟡", "accent"),
    Priority.LOW: ("🔵", "good"),
    Priority.INFO: ("⚪", "default"),
}

_OWN_CARDS = frozenset({ESCALATION_CARD, ACKNOWLEDGED_CARD, DIGEST_CARD})
"""Cards whose data notifier makes itself."""

ActionLink = Callable[[str, str, str], str]
"""(notification id, action, key of the event) → signed URL."""


_NPHIES_LINKS = {"nphies_portal", "nphies_status", "nphies_docs"}
_MORE_LINKS = ("view_claim", "logs", "dashboard", "flower", "acknowledge")


class Card(NamedTuple):
    """A card as it came out."""

    template: str
    card: JsonValue
    gaps: tuple[str, ...]
    """The expressions that had no value and show a dash."""
    more_link: str | None
    """Where a reader finds what had to be left out."""
    unused: tuple[Unused, ...] = ()
    """The members of the data that it does not show."""


@dataclass(frozen=True)
class Cards:
    """The compiled templates by name; `claim_rejected.ar` is the Arabic one of claim_rejected."""

    templates: Mapping[str, Template]

    def find(self, name: str, lang: str) -> tuple[str, Template]:
        """Return the template in the wanted language, else in English.

        Raises:
            CardError: There is no such card.
        """
        for candidate in (f"{name}.{lang}", name):
            template = self.templates.get(candidate)
            if template is not None:
                return candidate, template
        raise CardError(
            f"there is no card {name}.json; add it to the cards folder or correct the route"
        )


def card_template(card: JsonValue) -> Template:
    """Compile a card so that what comes from an event is shown as text; raises TemplateError."""
    return Template(isolated(card), arabic_guard if is_arabic(card) else guard)


class _OnDemand(Mapping[str, Template]):
    """Templates that are known to be sound and are compiled when first asked for."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        self._compiled: dict[str, Template] = {}

    @override
    def __getitem__(self, name: str) -> Template:
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = card_template(json.loads(self._texts[name]))
        return found

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._texts

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    @override
    def __len__(self) -> int:
        return len(self._texts)


def checked_cards(texts: Mapping[str, bytes]) -> Cards:
    """Return templates, by name, that have passed `notifier cards check` as they are; compiles nothing yet."""
    return Cards(_OnDemand(texts))


def card_folders(config: Config) -> tuple[Path, ...]:
    """Return the folder of the shipped cards, and the configured one, whose files lie over it."""
    shipped = assets.cards_dir()
    own = Path(config.cards.directory) if config.cards.directory else shipped
    return (shipped,) if own.absolute() == shipped.absolute() else (shipped, own)


def layered(folders: Iterable[Path], pattern: str) -> dict[str, Path]:
    """Return the files of folders by name, in order; those of a later folder lie over those of an earlier one."""
    found = {path.name: path for folder in folders for path in folder.glob(pattern)}
    return dict(sorted(found.items()))


def load_cards(*folders: Path) -> Cards:
    """Compile every template of folders, of which each lies over those before it.

    Raises:
        CardError: There is no such folder, or a file is not JSON or not a template; names the file, the place and the fix.
    """
    for folder in folders:
        if not _is_folder(folder):
            raise CardError(
                f"cards.directory: there is no folder {folder}; correct the setting"
            )
    templates: dict[str, Template] = {}
    for path in layered(folders, "*.json").values():
        try:
            templates[path.stem] = card_template(json.loads(path.read_bytes()))
        except (ValueError, OSError, RecursionError) as exc:
            raise CardError(f"{path}: is not readable JSON: {exc}") from None
        except TemplateError as exc:
            raise CardError(f"{path}: {exc}") from None
    for name, use in ((FALLBACK_CARD, "events without a route"), (DIGEST_CARD, "bursts")):
        if name not in templates:
            raise CardError(f"{folders[-1]}: holds no {name}.json, which {use} need")
    return Cards(templates)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def check_routes(config: Config, cards: Cards) -> None:
    """Refuse routes whose card does not exist; raises CardError, which names each."""
    lines = [
        f'routes."{event_type}".card: {what}; {fix}'
        for event_type, what, fix in missing_cards(config, cards.templates)
    ]
    if lines:
        raise CardError("\n".join(lines))


def missing_cards(config: Config, names: Collection[str]) -> list[tuple[str, str, str]]:
    """Return event type, fault and fix of each route whose card is none of these."""
    return [
        (
            event_type,
            f"there is no {route.card}.json in the cards folder",
            _card_fix(route.card, names),
        )
        for event_type, route in config.routes.items()
        if route.card not in names
    ]


def _card_fix(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, 1)
    return f'write card = "{near[0]}", or add it there' if near else "add it there or correct the route"  # fmt: skip


class CardRenderer:
    """Renders notifications; pure but for what `action_link` does."""

    def __init__(self, cards: Cards, config: Config, action_link: ActionLink | None) -> None:
        self._cards = cards
        self._titles = {name: channel.title for name, channel in config.channels.items()}
        self._links = config.links
        nphies = config.links.model_dump(include=_NPHIES_LINKS)
        self._nphies_links = {name: address for name, address in nphies.items() if address}
        self._action_link = action_link
        self._shown: dict[str, frozenset[str] | None] = {}

    def render(self, notification: Notification) -> Card:
        """Return the card, with a dash wherever its template finds no value.

        Raises:
            CardError: There is no such card.
            TemplateError: Expanding it takes too much work.
        """
        name, template = self._cards.find(notification.card, notification.lang)
        context = self.context(notification, facts=template.may_read("facts"))
        gaps: list[str] = []

        def dash(expression: str) -> str:
            gaps.append(
                "a name from the data" if isinstance(expression, DataName) else expression
            )
            return GAP

        card = template.expand(context, missing=dash)
        unused: tuple[Unused, ...] = ()
        if notification.card not in _OWN_CARDS:
            if name not in self._shown:
                self._shown[name] = shown_fields(template)
            unused = unused_fields(notification.data, self._shown[name])
        return Card(name, card, tuple(gaps), _more_link(context), unused)

    def acknowledge_link(self, notification: Notification) -> str | None:
        """Return the signed link under which someone takes this notification; None without a public URL."""
        link = self._action_link
        if link is None or "acknowledge" not in _offered(notification):
            return None
        return link(notification.id, "acknowledge", notification.acts_on)

    def context(
        self, notification: Notification, *, facts: bool = True
    ) -> dict[str, JsonValue]:
        """Build what a template sees; `facts`, a list of all data, only if wanted."""
        icon, color = _PRIORITY_LOOKS[notification.priority]
        titles = [self._titles.get(name, name) for name in notification.stakeholders]
        event: dict[str, JsonValue] = {
            "type": notification.event_type,
            "id": notification.event_id,
            "correlation_id": notification.correlation_id,
            "time": notification.event_time,
            "lang": notification.lang,
            "stream": notification.stream,
        }
        if notification.source:
            event["source"] = notification.source
        return {
            "event": event,
            "notification": {
                "id": notification.id,
                "channel": notification.channel,
                "channel_title": self._titles.get(notification.channel, notification.channel),
                "stakeholders": list(notification.stakeholders),
                "stakeholders_text": ", ".join(titles),
                "priority": str(notification.priority),
                "priority_icon": icon,
                "priority_color": color,
                "priority_style": color,
            },
            "data": notification.data,
            "facts": [
                {"title": title, "value": value if type(value) is str else _as_text(value)}
                for title, value in (notification.data.items() if facts else ())
                if value is not None
            ],
            "links": {
                **self._signed_links(notification),
                **_plain_links(notification, self._links),
                **self._nphies_links,
            },
        }

    def _signed_links(self, notification: Notification) -> dict[str, JsonValue]:
        link = self._action_link
        if link is None:
            return {}
        event = notification.acts_on
        return {
            action: link(notification.id, action, event) for action in _offered(notification)
        }


def _offered(notification: Notification) -> tuple[str, ...]:
    card = notification.card
    if card == "celery_task" and _exhausted(notification.data):
        return ("acknowledge", "retry_task", "discard_task")
    return _usually_offered(card, notification.priority.urgent)


@lru_cache(maxsize=256)
def _usually_offered(card: str, urgent: bool) -> tuple[str, ...]:
    if card in (DIGEST_CARD, ACKNOWLEDGED_CARD):
        return ()
    offered = ["acknowledge"]
    if card in _ALWAYS_ESCALATES or (urgent and card not in _NEVER_ESCALATES):
        offered.append("escalate")
    if card == "claim_submitted":
        offered.append("poll_nphies")
    return tuple(offered)


def _exhausted(data: Mapping[str, JsonValue]) -> bool:
    try:
        return float(str(data["retry_count"])) >= float(str(data["max_retries"]))
    except (KeyError, ValueError):
        return False


def _plain_links(notification: Notification, links: LinkSettings) -> dict[str, JsonValue]:
    data = notification.data
    found: dict[str, JsonValue] = {}
    if links.claims_app and (claim := _segment(data.get("claim_id"))):
        found["view_claim"] = f"{links.claims_app}/claims/{claim}"
        found["edit_claim"] = f"{links.claims_app}/claims/{claim}/edit"
        found["process_payment"] = f"{links.claims_app}/claims/{claim}/payment"
    if links.rejection_guide:
        code = _segment(data.get("rejection_code"))
        found["rejection_guide"] = (
            f"{links.rejection_guide}/{code}" if code else links.rejection_guide
        )
    if links.grafana:
        board = _segment(data.get("dashboard_id"))
        found["dashboard"] = f"{links.grafana}/d/{board}" if board else links.grafana
    if links.flower:
        task = _segment(data.get("task_id"))
        found["flower"] = f"{links.flower}/task/{task}" if task else links.flower
    if links.logs:
        found["logs"] = f"{links.logs}?query={quote(notification.correlation_id, safe='')}"
    runbook = data.get("runbook_url")
    if isinstance(runbook, str) and runbook.startswith(("https://", "http://")):
        found["runbook"] = runbook
    elif links.runbooks:
        found["runbook"] = f"{links.runbooks}/{quote(notification.event_type, safe='')}"
    # A link made of a long value would cost the card, for it cannot be shortened.
    return {name: url for name, url in found.items() if len(str(url)) <= MAX_ADDRESS}


def _segment(value: JsonValue) -> str:
    return quote(str(value), safe="") if isinstance(value, (str, int)) and value != "" else ""


def _more_link(context: Mapping[str, JsonValue]) -> str | None:
    links = context["links"]
    if not isinstance(links, dict):
        return None
    return next((str(links[name]) for name in _MORE_LINKS if name in links), None)


def _as_text(value: JsonValue) -> str:
    if isinstance(value, SentNumber):
        return value.text
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    return to_json_bytes(value).decode()
