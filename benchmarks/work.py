"""The work of every contender: one claim event becomes one card."""

from __future__ import annotations

import json

from pydantic import JsonValue

CHANNELS = (
    "security_eng", "cloudops", "runtime_eng", "devops", "sre", "compliance", "nphies_integration", "pmo",
)  # fmt: skip
TYPE = "nphies.claim.approved"
NOTES = "Approved for one admission of up to three nights, with imaging, laboratory and physiotherapy; the approval is valid for 30 days and ends with the discharge; send the final bill within 14 days. صالح لمدة 30 يوماً"


def event(number: int) -> dict[str, JsonValue]:
    """Return the members of event `number`; its claim id is on the card."""
    amount = 12_000 + number * 0.25
    return {
        "type": TYPE,
        "id": f"evt-{number}",
        "correlation_id": f"corr-20261124-{number:08d}",
        "time": "2026-11-24T07:10:12Z",
        "source": "claims-worker",
        "stakeholders": [CHANNELS[number % len(CHANNELS)]],
        "data": {
            "claim_id": f"CLM-{number:08d}",
            "approval_number": f"APR-{number:07d}",
            "patient_id": f"PAT-{number % 100_000:05d}",
            "payer": "TAWUNIYA (7001071327)",
            "approved_amount": amount,
            "net_amount": amount - 400,
            "patient_share": 400.0,
            "payer_share": amount - 400,
            "notes": NOTES,
        },
    }


def fields(number: int) -> dict[str, str]:
    """Return event `number` as the flat fields of a stream entry."""
    members = event(number)
    return {
        **{name: str(value) for name, value in members.items() if isinstance(value, str)},
        "stakeholders": CHANNELS[number % len(CHANNELS)],
        "data": json.dumps(members["data"], ensure_ascii=False, separators=(",", ":")),
    }


def event_bytes(number: int) -> int:
    """Return the size of a stream entry."""
    return sum(len(name) + len(value.encode()) for name, value in fields(number).items())
