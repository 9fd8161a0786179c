"""The links of a card: signed actions, and pages of other systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote

from pydantic import JsonValue

from notifier.cards.escaping import MAX_ADDRESS
from notifier.config.models import LinkSettings
from notifier.events.digest import DIGEST_CARD
from notifier.events.notification import Notification

ActionLink = Callable[[str, str, str], str]
"""(notification id, action, key of the event) → signed URL."""

ESCALATION_CARD = "escalation"
ACKNOWLEDGED_CARD = "acknowledged"
LINK_FIELDS = frozenset(
    {"claim_id", "dashboard_id", "max_retries", "rejection_code", "retry_count", "runbook_url", "task_id"}
)  # fmt: skip
"""Members of data that are read here and not by a template."""

_ALWAYS_ESCALATES = frozenset({"claim_rejected", "nphies_api_error", "follow_up"})
_NEVER_ESCALATES = frozenset(
    {"claim_submitted", "claim_approved", "eligibility", "celery_task", "generic", ESCALATION_CARD}
)  # fmt: skip
_NPHIES_LINKS = {"nphies_portal", "nphies_status", "nphies_docs"}
_MORE_LINKS = ("view_claim", "logs", "dashboard", "flower", "acknowledge")


class CardLinks:
    """Makes the links of a notification; pure, except for `action_link`."""

    def __init__(self, settings: LinkSettings, action_link: ActionLink | None) -> None:
        """Take None for `action_link` if there is no public URL."""
        self._settings = settings
        nphies = settings.model_dump(include=_NPHIES_LINKS)
        self._nphies = {name: address for name, address in nphies.items() if address}
        self._action_link = action_link

    def of(self, notification: Notification) -> dict[str, JsonValue]:
        """Return the links that a template sees, by name."""
        links: dict[str, JsonValue] = {}
        if (link := self._action_link) is not None:
            event = notification.acts_on
            for action in _offered(notification):
                links[action] = link(notification.id, action, event)
        return links | _pages(notification, self._settings) | self._nphies

    def acknowledge(self, notification: Notification) -> str | None:
        """Return the signed link to acknowledge; None without a public URL."""
        link = self._action_link
        if link is None or "acknowledge" not in _offered(notification):
            return None
        return link(notification.id, "acknowledge", notification.acts_on)


def more_link(links: Mapping[str, JsonValue]) -> str | None:
    """Return the link to the whole event, for a card that is shortened."""
    return next((str(links[name]) for name in _MORE_LINKS if name in links), None)


def _offered(notification: Notification) -> tuple[str, ...]:
    card = notification.card
    if card == "celery_task" and _retries_exhausted(notification.data):
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


def _retries_exhausted(data: Mapping[str, JsonValue]) -> bool:
    try:
        return float(str(data["retry_count"])) >= float(str(data["max_retries"]))
    except (KeyError, ValueError):
        return False


def _pages(notification: Notification, links: LinkSettings) -> dict[str, JsonValue]:
    data = notification.data
    found: dict[str, JsonValue] = {}
    if links.claims_app and (claim := _segment(data.get("claim_id"))):
        found["view_claim"] = f"{links.claims_app}/claims/{claim}"
        found["edit_claim"] = f"{links.claims_app}/claims/{claim}/edit"
        found["process_payment"] = f"{links.claims_app}/claims/{claim}/payment"
    for name, base, folder, member in (
        ("rejection_guide", links.rejection_guide, "", "rejection_code"),
        ("dashboard", links.grafana, "/d", "dashboard_id"),
        ("flower", links.flower, "/task", "task_id"),
    ):
        if base:
            part = _segment(data.get(member))
            found[name] = f"{base}{folder}/{part}" if part else base
    if links.logs:
        found["logs"] = f"{links.logs}?query={quote(notification.correlation_id, safe='')}"
    runbook = data.get("runbook_url")
    if isinstance(runbook, str) and runbook.startswith(("https://", "http://")):
        found["runbook"] = runbook
    elif links.runbooks:
        found["runbook"] = f"{links.runbooks}/{quote(notification.event_type, safe='')}"
    # A card with a longer link could not be shortened.
    return {name: url for name, url in found.items() if len(str(url)) <= MAX_ADDRESS}


def _segment(value: JsonValue) -> str:
    return quote(str(value), safe="") if isinstance(value, (str, int)) and value != "" else ""
