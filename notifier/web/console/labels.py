"""What the console says about states and reasons, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from notifier.dead_letters.model import Reason


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """A reason for people: in short, what happened, and what to do."""

    short: str
    happened: str
    fix: str


REASONS: Mapping[str, ReasonWords] = {
    Reason.INVALID_EVENT: ReasonWords(
        "Not an event",
        "A producer added an entry that is not an event; the detail names the field.",
        "Tell the producer. A replay reads it again as it is; give a corrected event with: notifier dlq replay ID --edit FILE",
    ),
    Reason.UNSIGNED: ReasonWords(
        "Not signed",
        "Events have to be signed here, and no known producer signed this one.",
        "Find out who published it and add the producer's key, or vouch for it with: notifier dlq replay ID --edit FILE",
    ),
    Reason.UNROUTABLE: ReasonWords(
        "No route",
        "No route matches the event type, and the event names no stakeholders.",
        "Add a route to the configuration, reload, then replay.",
    ),
    Reason.UNKNOWN_CHANNEL: ReasonWords(
        "Unknown channel",
        "The event names a stakeholder that is no channel.",
        "Add the channel and replay, or tell the producer.",
    ),
    Reason.NOT_CONFIGURED: ReasonWords(
        "No webhook",
        "The channel has no webhook URL.",
        "Set the channel's webhook, reload, then replay.",
    ),
    Reason.CARD_ERROR: ReasonWords(
        "Broken card",
        "The card template could not be rendered for this event.",
        "Mend the card, reload, then replay.",
    ),
    Reason.CARD_TOO_LARGE: ReasonWords(
        "Card too large",
        "The card is larger than Teams takes, even shortened.",
        "Make the card smaller, reload, then replay.",
    ),
    Reason.REJECTED: ReasonWords(
        "Refused by Teams",
        "The workflow refused the card for good.",
        "Check the channel's workflow and its URL, then replay.",
    ),
    Reason.RETRIES_EXHAUSTED: ReasonWords(
        "Retries used up",
        "The workflow did not take the card in any of the attempts.",
        "See whether Teams is back, then replay.",
    ),
    Reason.POISON: ReasonWords(
        "Poison",
        "It was taken over again and again; processes may have died of it.",
        "Report it. Replay it only once the cause is mended.",
    ),
    Reason.UNRECORDABLE: ReasonWords(
        "Not recordable",
        "The card was dealt with, but Postgres refused the record.",
        "See the log of Postgres, then replay: only the record is written again, nothing is posted.",
    ),
    Reason.INTERNAL_ERROR: ReasonWords(
        "Internal error",
        "notifier failed at it in a way that nobody foresaw; the detail says where in its code.",
        "Report the detail, which holds no data. Replay it once a version with the fix runs; if it was attempted, see first whether the card is in the channel.",
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
CAUSES: Mapping[str, str] = {"unanswered": "nobody answered", "by_hand": "by hand"}


def reason_words(reason: str) -> ReasonWords:
    """Return the words of a reason; one that is not known stands for itself."""
    return REASONS.get(reason) or ReasonWords(reason or "Unknown", "", "")
