"""The console of a daemon with something to show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from playwright.async_api import Page

from tests.support.daemons import Daemons
from tests.support.waiting import until

TOKEN = re.compile(r"[0-9a-f]{32}\.[0-9]\.[0-9]{9,}\.")


HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


@dataclass
class Console:
    """The console of a daemon with something to show."""

    url: str
    daemons: Daemons

    @property
    def dead_letter_address(self) -> str:
        """The page of the newest dead letter."""
        return f"{self.url}/dead-letters/letter?id={self.daemons.dead_entries()[-1][0]}&stream=teams:events"


async def delivered(console: Console, **fields: str) -> list[dict[str, Any]]:
    """Publish an event and return its rows once they are recorded."""
    before = len(console.daemons.rows())
    count = len(fields.get("stakeholders", "a,b,c").split(","))
    console.daemons.add(fields)
    await until(lambda: len(console.daemons.rows()) == before + count)
    return console.daemons.rows()


async def refused(console: Console, count: int = 1, **fields: str) -> None:
    """Let notifications end as dead letters: the workflow answers 400."""
    before = len(console.daemons.dead_entries())
    console.daemons.receiver.answer(400, times=count)
    for _ in range(count):
        console.daemons.add({"type": "backup.failed", "stakeholders": "sre", "service": "db", "patient_id": "PAT-12345"} | fields)  # fmt: skip
    await until(lambda: len(console.daemons.dead_entries()) == before + count)
    await until(lambda: len([r for r in console.daemons.rows() if r["status"] == "dead_lettered"]) >= before + count)  # fmt: skip


async def something_of_everything(console: Console) -> None:
    await refused(console, 3)
    console.daemons.add({"type": "no.route", "note": "A shift note that nobody routes. " * 8})
    console.daemons.add(
        {"event": '{"type": "a.b", "data": {"patient_id": "PAT-12345"}', "id": "broken"},
    )
    await until(lambda: len(console.daemons.dead_entries()) == 5)
    await delivered(console, type="nphies.claim.rejected", claim_id="CLM-2026-000123", rejection_code="INV-001", rejection_reason="The service is not covered.", lang="ar", patient_id="PAT-12345", payer="التعاونية", stakeholders="pmo")  # fmt: skip
    await delivered(console, type="nphies.api.error", error_type="api", http_status="503", operation="claim submission", error_message="Service unavailable", correlation_id="corr-" + "7f" * 40, stakeholders="nphies_integration,devops,sre")  # fmt: skip
    await delivered(console, type="vault.seal.detected", node="vault-2", cluster_id="c1", impact="No secret can be read.", stakeholders="security_eng,sre")  # fmt: skip
    with psycopg.connect(console.daemons.database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara Al-Qahtani', acknowledged_at = now(), action_taken = 'acknowledge',"
            ' action_data = \'{"via": "page", "note": "on it"}\' WHERE event_type = \'vault.seal.detected\' AND channel = \'sre\''
        )


def addresses(console: Console) -> dict[str, str]:
    found = console.daemons.rows()
    by_type = {row["event_type"]: row for row in found}
    died = {fields["reason"]: entry for entry, fields in console.daemons.dead_entries()}
    query = f"do=replay&letter={died['rejected']}+teams:events&letter={died['unroutable']}+teams:events"
    letter = f"{console.url}/dead-letters/letter?stream=teams:events&id="
    return {
        "overview": console.url,
        "critical": f"{console.url}/critical",
        "dead-letters": f"{console.url}/dead-letters",
        "dead-letters-none": f"{console.url}/dead-letters?reason=poison",
        "dead-letters-problem": f"{console.url}/dead-letters?since=yesterday",
        "letter": f"{letter}{died['rejected']}",
        "letter-invalid": f"{letter}{died['invalid_event']}",
        "letter-gone": f"{letter}1-1",
        "confirm": f"{console.url}/dead-letters/confirm?{query}",
        "confirm-discard": f"{console.url}/dead-letters/confirm?{query.replace('replay', 'discard')}",
        "nothing-selected": f"{console.url}/dead-letters/confirm?do=replay",
        "notifications": f"{console.url}/notifications",
        "notification": f"{console.url}/notifications/{by_type['nphies.api.error']['id']}",
        "notification-arabic": f"{console.url}/notifications/{by_type['nphies.claim.rejected']['id']}",
        "notification-dead": f"{console.url}/notifications/{by_type['backup.failed']['id']}",
        "search": f"{console.url}/search?q={by_type['nphies.api.error']['correlation_id']}",
        "search-nothing": f"{console.url}/search?q=CLM-nowhere",
        "missing": f"{console.url}/nowhere",
    }


async def card_is_shown(page: Page) -> None:
    """Wait until a notification's card is rendered in a frame of its height."""
    card = page.frame_locator("iframe").locator(".ac-adaptiveCard")
    await card.wait_for()
    high = await card.evaluate("(card) => card.offsetHeight")
    await page.wait_for_function("(high) => Math.abs(document.querySelector('iframe').clientHeight - high) < 40", arg=high)  # fmt: skip
