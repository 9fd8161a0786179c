"""A Vault for tests: the used parts of its HTTP API, as documented.

Written after the API pages of Vault 1.x: KV v2 (GET /v1/:mount/data/:path), AppRole and Kubernetes login
(POST /v1/auth/:mount/login), tokens (GET lookup-self, POST renew-self) and the HTTP status codes.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT_TOKEN = "hvs.root-canary"


@dataclass
class Token:
    """A token; a `ttl` of 0 seconds means that it does not expire."""

    ttl: int = 0
    renewable: bool = False
    renewals: int = 0
    max_renewals: int = 1000


@dataclass
class FakeVault:
    """State that a test sets up and looks at."""

    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """KV v2 data by mount/path."""
    tokens: dict[str, Token] = field(default_factory=lambda: {ROOT_TOKEN: Token()})
    approles: dict[str, str] = field(default_factory=dict)
    """secret_id by role_id."""
    kubernetes: dict[str, str] = field(default_factory=dict)
    """JWT by role."""
    lease: int = 3600
    denied: set[str] = field(default_factory=set)
    """Paths that no policy allows."""
    sealed: bool = False
    redirect: str = ""
    delay: float = 0.0
    drip: float = 0.0
    """Seconds between the bytes of a body."""
    size: int = 0
    logins: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        """Return status and JSON."""
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        parts = path.removeprefix("/v1/").split("/")
        if parts[0] == "auth" and parts[-1] == "login" and method == "POST":
            return self._login(parts[1], body)
        known = self.tokens.get(token)
        if known is None:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/auth/token/lookup-self":
            return 200, _answer(
                data={"ttl": known.ttl, "renewable": known.renewable, "id": token}
            )
        if path == "/v1/auth/token/renew-self" and method == "POST":
            if not known.renewable or known.renewals >= known.max_renewals:
                return 400, {"errors": ["lease is not renewable"]}
            known.renewals += 1
            return 200, _answer(auth=_auth(token, known))
        if len(parts) > 2 and parts[1] == "data" and method == "GET":
            return self._read("/".join([parts[0], *parts[2:]]))
        return 404, {"errors": []}

    def _login(self, mount: str, body: Any) -> tuple[int, Any]:
        if mount == "approle":
            if self.approles.get(body.get("role_id")) != body.get("secret_id", ""):
                return 400, {"errors": ["invalid role or secret ID"]}
        elif self.kubernetes.get(body.get("role")) != body.get("jwt", ""):
            return 403, {"errors": ["permission denied"]}
        token = f"hvs.{uuid.uuid4().hex}"
        self.tokens[token] = Token(self.lease, renewable=True)
        self.logins.append(mount)
        return 200, _answer(auth=_auth(token, self.tokens[token]))

    def _read(self, path: str) -> tuple[int, Any]:
        if path in self.denied:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if path not in self.secrets:
            return 404, {"errors": []}
        metadata = {
            "created_time": "2026-11-24T10:00:00.000000Z", "custom_metadata": None, "deletion_time": "",
            "destroyed": False, "version": 3,
        }  # fmt: skip
        return 200, _answer(data={"data": self.secrets[path], "metadata": metadata})


def _auth(token: str, known: Token) -> dict[str, Any]:
    return {
        "client_token": token, "accessor": "0e9e354a-520f-df04-6867-ee81cae3d42d", "policies": ["default", "teams"],
        "token_policies": ["default", "teams"], "metadata": None, "lease_duration": known.ttl,
        "renewable": known.renewable, "entity_id": "", "token_type": "service", "orphan": True,
    }  # fmt: skip


def _answer(data: Any = None, auth: Any = None) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()), "lease_id": "", "renewable": False, "lease_duration": 0, "data": data,
        "wrap_info": None, "warnings": None, "auth": auth,
    }  # fmt: skip


@contextmanager
def running_vault(tls: ssl.SSLContext | None = None) -> Iterator[FakeVault]:
    """Serve on loopback until the block ends."""
    vault = FakeVault()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            vault.requests.append((self.command, self.path, dict(self.headers)))
            time.sleep(vault.delay)
            if vault.redirect:
                status, payload = 307, b""
            else:
                token = self.headers.get("X-Vault-Token", "")
                status, answer = vault.answer(self.command, self.path, token, body)
                payload = json.dumps(answer).encode() + b" " * vault.size
            self.send_response(status)
            if vault.redirect:
                self.send_header("Location", vault.redirect)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            try:
                if vault.drip:
                    for byte in payload:
                        self.wfile.write(bytes([byte]))
                        time.sleep(vault.drip)
                else:
                    self.wfile.write(payload)
            except OSError:
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Requests)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    vault.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield vault
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
