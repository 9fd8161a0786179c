"""make audit fails for a vulnerability, not for an unreachable service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

# Each lists the installed packages with pip, which takes seconds.
pytestmark = pytest.mark.slow
AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"


class _Advisories(ThreadingHTTPServer):
    """An OSV service (POST /v1/query) that knows what `vulnerable` says."""

    vulnerable: str = ""
    status: int = 200


@pytest.fixture
def osv() -> Iterator[_Advisories]:
    class Requests(BaseHTTPRequestHandler):
        server: _Advisories

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = query["package"]["name"]
            answer: dict[str, Any] = {}
            if package == self.server.vulnerable:
                affected = {
                    "package": {"name": package, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}],
                }  # fmt: skip
                answer = {
                    "vulns": [
                        {"id": "OSV-1", "summary": "made up", "affected": [affected], "published": "2026-01-01T00:00:00Z"}
                    ]
                }  # fmt: skip
            body = json.dumps(answer).encode()
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = _Advisories(("127.0.0.1", 0), Requests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def audit(port: int) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{port}/v1/query"
    return subprocess.run(
        [sys.executable, str(AUDIT), "--vulnerability-service", "osv", "--osv-url", url],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_vulnerability_fails_the_check_and_is_named(osv: _Advisories):
    osv.vulnerable = "aiohttp"

    done = audit(osv.server_address[1])

    assert done.returncode == 1, done.stderr
    assert "VULNERABLE aiohttp" in done.stderr
    assert "OSV-1, fixed in 999.0" in done.stderr


def test_no_vulnerability_is_said_with_the_number_of_packages(osv: _Advisories):
    done = audit(osv.server_address[1])

    assert done.returncode == 0, done.stderr
    assert "no known vulnerability in" in done.stdout
    assert "NOT AUDITED" not in done.stderr


@pytest.mark.parametrize("status", [None, 503])
def test_service_that_cannot_be_asked_is_said_loudly_and_fails_nothing(
    osv: _Advisories, status: int | None
):
    port = osv.server_address[1]
    if status is None:
        port = 9
    else:
        osv.status = status

    done = audit(port)

    assert done.returncode == 0
    assert "NOT AUDITED" in done.stderr
    assert "no known vulnerability" not in done.stdout
