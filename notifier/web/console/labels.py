"""The words of the console for reasons, states and actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from notifier.dead_letters.model import Reason


@dataclass(frozen=True, slots=True)
class ReasonLabel:
    """A reason in short, with its cause and its fix."""

    short: str
    happened: str
    fix: str


REASONS: Mapping[str, ReasonLabel] = {
    Reason.INVALID_EVENT: ReasonLabel(
        "Not an event",
        "A producer added an entry that is not an event; the detail names the field.",
        "Tell the producer. A replay reads the entry again unchanged; to give a corrected event, run: notifier dlq replay ID --edit FILE",
    ),
    Reason.UNSIGNED: ReasonLabel(
        "Not signed",
        "Events must be signed here, and no known producer signed this one.",
        "Find its producer and add the producer's key; if the event is genuine, run: notifier dlq replay ID --edit FILE",
    ),
    Reason.UNROUTABLE: ReasonLabel(
        "No route",
        "No route matches the event type, and the event names no stakeholders.",
        "Add a route to the configuration, reload, then replay.",
    ),
    Reason.UNKNOWN_CHANNEL: ReasonLabel(
        "Unknown channel",
        "The event names a stakeholder that is not a channel.",
        "Add the channel and replay, or tell the producer.",
    ),
    Reason.NOT_CONFIGURED: ReasonLabel(
        "No webhook",
        "The channel has no webhook URL.",
        "Set the channel's webhook, reload, then replay.",
    ),
    Reason.CARD_ERROR: ReasonLabel(
        "Broken card",
        "The card template could not be rendered for this event.",
        "Fix the card, reload, then replay.",
    ),
    Reason.CARD_TOO_LARGE: ReasonLabel(
        "Card too large",
        "The card is too large for Teams, even shortened.",
        "Make the card smaller, reload, then replay.",
    ),
    Reason.REJECTED: ReasonLabel(
        "Refused by Teams",
        "The workflow refused the card permanently.",
        "Check the channel's workflow and its URL, then replay.",
    ),
    Reason.RETRIES_EXHAUSTED: ReasonLabel(
        "Retries used up",
        "The workflow did not accept the card in any attempt.",
        "Check that Teams works again, then replay.",
    ),
    Reason.POISON: ReasonLabel(
        "Poison",
        "It was claimed again and again; it may have ended the processes that worked on it.",
        "Report it. Replay it only after the cause is fixed.",
    ),
    Reason.UNRECORDABLE: ReasonLabel(
        "Not recordable",
        "The notification ended, but Postgres refused its record.",
        "See the log of Postgres, then replay: the record is written again, and nothing is posted.",
    ),
    Reason.INTERNAL_ERROR: ReasonLabel(
        "Internal error",
        "An unforeseen error occurred in notifier; the detail names the place in its code.",
        "Report the detail, which holds no data. Replay it after an update with the fix; if it was attempted, look for the card in the channel first.",
    ),
}

PRIORITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")
STATUSES: Mapping[str, str] = {"delivered": "Delivered", "dead_lettered": "Dead letter"}
ACTIONS: Mapping[str, str] = {
    "acknowledge": "acknowledged",
    "escalate": "escalated",
    "retry_task": "asked to retry the task",
    "discard_task": "asked to discard the task",
    "poll_nphies": "asked to poll NPHIES",
}
VIAS: Mapping[str, str] = {
    "page": "name typed on the action page",
    "sign_on": "single sign-on",
    "callback": "callback",
    "outgoing_webhook": "message in Teams",
}
CAUSES: Mapping[str, str] = {"unanswered": "nobody acknowledged it", "by_hand": "by hand"}


def reason_label(reason: str) -> ReasonLabel:
    """Return the label of a reason; an unknown one is its own label."""
    return REASONS.get(reason) or ReasonLabel(reason or "Unknown", "", "")
