"""With signatures required, only signed entries become cards."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import redis

from notifier.events.producer_signature import sign
from tests.support.action_pages import links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.redis_cli import redis_cli
from tests.support.waiting import until

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "publish-events.md"
KEY = "claims-worker-key-for-the-example"
REQUIRED = {"TEAMS_INTAKE__REQUIRE_SIGNATURE": "1", "TEAMS_PRODUCER_KEYS": f"claims:{KEY}"}


def blocks(language: str) -> list[str]:
    section = GUIDE.read_text().partition("## Sign events")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


def test_the_worked_example_and_the_python_of_the_guide_agree():
    [example], [code] = blocks("text"), blocks("python")
    signed, signature = example.splitlines()
    assert signed.count("⏎") == 2
    scope: dict[str, object] = {}
    exec(code, scope)
    fields = {"type": "nphies.claim.rejected", "claim_id": "CLM-1"}

    assert scope["sign"]("claims", KEY, fields)["signature"] == signature  # type: ignore[operator]
    assert sign("claims", KEY.encode(), fields)["signature"] == signature


async def test_shell_of_the_guide_and_the_command_line_are_taken_and_others_are_not(
    daemons: Daemons, tmp_path: Path
):
    await daemons.start(**REQUIRED)
    [script] = blocks("sh")
    cli = f"{redis_cli()} -u {daemons.redis_url}"
    subprocess.run(
        ["/bin/sh", "-ec", script.replace("redis-cli", cli)],
        check=True, timeout=30, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    await until(lambda: len(daemons.rows()) == 3)

    env = {"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url}
    arguments = ("publish", "a.b", "--stakeholders", "sre")
    assert notifier(*arguments, **env, TEAMS_PRODUCER_KEY=f"claims:{KEY}").returncode == 0
    await until(lambda: len(daemons.rows()) == 4)
    refused = notifier(*arguments, **env, TEAMS_PRODUCER_KEY="claims:short")
    assert refused.returncode != 0
    assert "TEAMS_PRODUCER_KEY" in refused.stderr
    assert "short;" not in refused.stderr

    assert notifier(*arguments, **env).returncode == 0
    signed = sign("claims", KEY.encode(), {"type": "a.b", "stakeholders": "sre"})
    daemons.add(signed | {"stakeholders": "devops"})
    await until(lambda: len(daemons.dead_letters()) == 2)
    assert {letter["reason"] for letter in daemons.dead_letters()} == {"unsigned"}
    assert len(daemons.receiver.requests) == 4

    again = notifier("dlq", "replay", "--all", **env)
    assert "--edit" in again.stderr
    keys = {**REQUIRED, "TEAMS_HMAC_SECRET_KEY": "k3y-of-the-daemon-0123456789"}
    history = notifier("replay", "--since", "2020-01-01", "--force", "--dry-run", **env | keys)
    assert history.stdout.startswith("4 would be replayed") or "\n4 would be" in history.stdout
    assert len(daemons.dead_letters()) == 2


async def test_what_the_daemon_publishes_itself_still_passes(daemons: Daemons):
    await daemons.start(
        **REQUIRED,
        **public(
            {
                "TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": "1",
                "TEAMS_ESCALATION__POLL_SECONDS": "0.2",
            }
        ),
    )
    fields = {"type": "nphies.claim.rejected", "stakeholders": "sre", "claim_id": "x"}
    daemons.add(sign("claims", KEY.encode(), fields))
    [request] = await daemons.receiver.wait_for(1)
    await until(lambda: len(daemons.rows()) == 1)
    found = links_on(request.body)
    await post(found["Escalate"], who="Lina")
    await daemons.receiver.wait_for(2)
    await post(found["Acknowledge"], who="Sara")
    await until(
        lambda: (
            {"notifier.escalation", "notifier.acknowledged"}
            <= {row["event_type"] for row in daemons.rows()}
        )
    )
    assert daemons.dead_letters() == []
    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        own = [f for _, f in client.xrange("teams:events") if f.get("source") == "notifier"]
    assert own
    assert all(fields["signature"].startswith("notifier:") for fields in own)


async def test_required_without_any_key_is_refused_at_start(daemons: Daemons):
    env = {"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url}
    refused = notifier("run", **env, TEAMS_INTAKE__REQUIRE_SIGNATURE="1")

    assert refused.returncode != 0
    assert "TEAMS_PRODUCER_KEYS" in refused.stderr
    assert "TEAMS_HMAC_SECRET_KEY" in refused.stderr


async def test_a_forged_escalation_is_no_card_and_its_id_keeps_no_real_one_out(
    daemons: Daemons,
):
    await daemons.start(**public())
    lead = "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07"
    daemons.publish(type="notifier.escalation", data=f'{{"answer_id":"{lead}"}}')
    daemons.publish(id=f"escalation:{lead}:1")
    daemons.publish()

    await until(lambda: len(daemons.rows()) == 1)
    assert [letter["reason"] for letter in daemons.dead_letters()] == ["unsigned"] * 2
    with redis.Redis.from_url(daemons.redis_url) as client:
        assert list(client.scan_iter("*:seen:escalation:*")) == []
