"""The simplest card: a text with gaps, filled with escaped values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TABLE = """
CREATE TABLE IF NOT EXISTS bench_rows (
    event_id text PRIMARY KEY, channel text NOT NULL, status_code integer NOT NULL, card jsonb NOT NULL, sent_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = "INSERT INTO bench_rows (event_id, channel, status_code, card) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"

_GAPS = (
    "claim_id", "approval_number", "patient_id", "payer", "approved_amount", "net_amount", "patient_share", "payer_share", "notes",
)  # fmt: skip


def _fact(title: str) -> str:
    return f'{{"title":"{title}","value":"%s"}}'


_CARD = (
    '{"type":"AdaptiveCard","$schema":"http://adaptivecards.io/schemas/adaptive-card.json","version":"1.5","lang":"en","msteams":{"width":"Full"},'
    '"fallbackText":"INFO: Claim %s was approved.","speak":"INFO priority. Claim %s was approved.","body":['
    '{"type":"Container","style":"good","bleed":true,"items":[{"type":"ColumnSet","columns":[{"type":"Column","width":"stretch",'
    '"verticalContentAlignment":"Center","items":[{"type":"TextBlock","text":"INFO","wrap":true,"weight":"Bolder","color":"Default"}]},'
    '{"type":"Column","width":"auto","verticalContentAlignment":"Center","items":[{"type":"TextBlock","text":"nphies.claim.approved","wrap":true,'
    '"size":"Small","horizontalAlignment":"Right","color":"Default"}]}]}]},'
    '{"type":"TextBlock","text":"Claim %s approved","wrap":true,"size":"Large","weight":"Bolder","style":"heading"},'
    '{"type":"FactSet","spacing":"Medium","facts":['
    + ",".join(map(_fact, ("Claim", "Approval", "Patient", "Payer", "Approved", "Net", "Patient share", "Payer share", "Notes")))
    + ']},{"type":"Container","spacing":"Medium","separator":true,"items":[{"type":"FactSet","spacing":"Medium","facts":['
    + ",".join(map(_fact, ("Event time", "Correlation id", "Stakeholders", "Source")))
    + ']}]}],"actions":[{"type":"Action.OpenUrl","title":"Acknowledge","url":"https://notify.example.com/a/%s","style":"positive"}]}'
)  # fmt: skip
_HEAD = '{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":'


def card_of(event: Mapping[str, Any]) -> str:
    """Return the card as JSON text."""
    data = event["data"]
    values = [json.dumps(str(data[name]), ensure_ascii=False)[1:-1] for name in _GAPS]
    claim = values[0]
    about = (event["time"], event["correlation_id"], event["stakeholders"][0], event["source"])
    return _CARD % (claim, claim, claim, *values, *about, event["id"])


def body_of(card: str) -> bytes:
    """Return the message that a Workflows webhook takes."""
    return f"{_HEAD}{card}}}]}}".encode()
