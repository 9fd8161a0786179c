"""Producers that are not Python: what they add is the event they meant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from notifier.events.entry import Event, parse_entry
from tests.support.redis_cli import redis_cli

NODE = Path(__file__).parents[1] / "clients" / "node"


def the_event(redis_url: str) -> Event:
    with redis.Redis.from_url(redis_url) as client:
        [(entry_id, fields)] = client.xrange("teams:events")
    return parse_entry("teams:events", entry_id.decode(), fields, max_bytes=100_000)


def test_redis_cli_one_liner_of_the_readme_is_a_complete_event(redis_url: str):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [line] = [line for line in readme.splitlines() if line.startswith("redis-cli XADD")]

    command = line.replace("redis-cli", f"{redis_cli()} -u {redis_url}", 1)
    subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, timeout=30)

    event = the_event(redis_url)
    assert event.type == "nphies.claim.rejected"
    assert event.data == {"claim_id": "CLM-1", "rejection_code": "INV-001"}
    assert event.id == event.entry_id == event.correlation_id


@pytest.fixture(scope="session")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with publish.mjs and what it needs installed."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Node.js and npm")
        pytest.skip("Node.js and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "publish.mjs"):
        shutil.copy(NODE / name, folder / name)
    subprocess.run([npm, "ci", "--silent"], cwd=folder, check=True, timeout=110)
    return folder


@pytest.mark.node
@pytest.mark.parametrize(
    "fields",
    [
        {
            "type": "nphies.claim.approved",
            "id": "e-1",
            "claim_id": "CLM-2",
            "payer": "التعاونية",
        },
        {
            "type": "nphies.claim.approved",
            "id": "e-1",
            "data": '{"claim_id": "CLM-2", "payer": "التعاونية"}',
        },
        {
            "event": '{"type": "nphies.claim.approved", "id": "e-1", "data": {"claim_id": "CLM-2", "payer": "التعاونية"}}'
        },
        {
            "event": '{"specversion": "1.0", "type": "nphies.claim.approved", "id": "e-1", "source": "/claims",'
            ' "data": {"claim_id": "CLM-2", "payer": "التعاونية"}}'
        },
    ],
    ids=["flat", "data", "event", "cloudevent"],
)
def test_node_client_publishes_every_form(
    publisher: Path, redis_url: str, fields: dict[str, str]
):
    command = ["node", "publish.mjs", redis_url, "teams:events"]
    subprocess.run(
        command,
        cwd=publisher,
        check=True,
        capture_output=True,
        timeout=60,
        input=json.dumps(fields).encode(),
    )

    event = the_event(redis_url)
    assert (event.type, event.id) == ("nphies.claim.approved", "e-1")
    assert event.data == {"claim_id": "CLM-2", "payer": "التعاونية"}
