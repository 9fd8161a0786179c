"""Call Vault with hvac: log in, renew, read; bounded in time and size."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from notifier.config.models import VaultSettings
from notifier.errors import VaultError

_REFUSED = "it refuses the credentials or the request (400); check vault.auth, vault.role and the secret_id"
_MAX_ANSWER_BYTES = 1_048_576
"""An entry of Vault's integrated storage is at most 1 MiB."""

_FAULTS: dict[type[Exception], tuple[str, bool]] = {
    exceptions.VaultDown: ("it is sealed or down (503); unseal it", True),
    exceptions.Forbidden: (
        "permission denied (403); check the token or role and its policy",
        False,
    ),
    exceptions.InvalidRequest: (_REFUSED, False),
    exceptions.Unauthorized: (_REFUSED, False),
    exceptions.InvalidPath: ("no such path (404); check vault.auth_mount and the paths", False),
    exceptions.VaultError: ("it failed ({kind}); see its log", True),
    requests.exceptions.SSLError: ("its certificate is not trusted; set vault.ca_file", True),
    requests.exceptions.Timeout: ("no answer within {seconds:g} s; check vault.url", True),
    HTTPError: ("it does not answer; check vault.url", True),
    OSError: ("it does not answer; check vault.url", True),
}
"""Fault by class of error, and whether waiting may help; the first match counts."""


class VaultClient:
    """One session with Vault; calls block up to the timeout."""

    def __init__(
        self,
        settings: VaultSettings,
        *,
        token: SecretStr | None,
        secret_id: SecretStr | None,
        clock: Callable[[], float],
    ) -> None:
        """Take the credential of the method; Kubernetes reads it from a file."""
        self._settings = settings
        self._token = token
        self._secret_id = secret_id
        self._clock = clock
        self._client: hvac.Client | None = None
        self.renewable = False
        self._since = 0.0
        self.lease_seconds = 0.0
        """Lease of the token when it was last given; 0 = it does not expire or is not known yet."""

    def stay_logged_in(self) -> None:
        """Renew the token or log in again, if it expires soon."""
        client = self._client
        if client is not None and not self.lease_seconds:
            return
        if client is not None and self._clock() - self._since < self.lease_seconds / 4:
            return
        if client is not None and self.renewable:
            try:
                with self._faults("renewing the token"):
                    self._given(client.auth.token.renew_self())
            except VaultError as exc:
                # A token at its end of life cannot be renewed: log in again, if the method allows it.
                if exc.away or self._settings.auth == "token":
                    raise
            else:
                if self._settings.auth == "token" or self.lease_seconds > 60:
                    return
        self._log_in()

    def read(self, path: str) -> dict[str, SecretStr] | None:
        """Return the strings of a secret, None if there is none."""
        mount = self._settings.mount or path.partition("/")[0]
        inner = path.removeprefix(f"{mount}/")
        client = self._client
        assert client is not None  # noqa: S101 - stay_logged_in comes first
        with self._faults(f"reading {path}"):
            try:
                answer = client.secrets.kv.v2.read_secret_version(
                    inner, mount_point=mount, raise_on_deleted_version=True
                )
            except exceptions.InvalidPath:
                return None
            except exceptions.Forbidden:
                # Perhaps the token was revoked: the next refresh logs in again.
                if self._settings.auth != "token":
                    self._client = None
                raise
            values = _member(_member(answer, "data"), "data")
        return {
            key: SecretStr(value) for key, value in values.items() if isinstance(value, str)
        }

    def _log_in(self) -> None:
        settings = self._settings
        client = self._new_client()
        mount = settings.auth_mount or settings.auth
        with self._faults(f"logging in ({settings.auth})"):
            match settings.auth:
                case "token":
                    self._looked_up(client.auth.token.lookup_self())
                case "approle":
                    secret_id = self._secret_id
                    answer = client.auth.approle.login(
                        role_id=settings.role,
                        secret_id=secret_id.get_secret_value() if secret_id else None,
                        mount_point=mount,
                    )
                    self._given(answer)
                case "kubernetes":
                    jwt = _read_token(Path(settings.kubernetes_token_file))
                    answer = client.auth.kubernetes.login(
                        role=settings.role, jwt=jwt, mount_point=mount
                    )
                    self._given(answer)
        self._client = client

    def _given(self, answer: object) -> None:
        """Note the lease of a new or renewed token (hvac keeps the token itself)."""
        auth = _member(answer, "auth")
        self._since = self._clock()
        self.lease_seconds = float(auth.get("lease_duration") or 0)
        self.renewable = bool(auth.get("renewable"))

    def _looked_up(self, answer: object) -> None:
        data = _member(answer, "data")
        self._since = self._clock()
        self.lease_seconds = float(data.get("ttl") or 0)
        self.renewable = bool(data.get("renewable"))

    def _new_client(self) -> hvac.Client:
        settings = self._settings
        session = requests.Session()
        session.trust_env = False  # neither proxies nor ~/.netrc of the environment
        adapter = _BoundedAdapter(settings.timeout_seconds)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.verify = settings.ca_file or True
        token = self._token
        return hvac.Client(
            url=settings.url,
            # Never None: hvac would read ~/.vault-token.
            token=token.get_secret_value() if token else "",
            timeout=settings.timeout_seconds,  # type: ignore[arg-type] # the stubs say int; requests takes both
            allow_redirects=False,  # the token must not go where a redirect leads
            session=session,
            namespace=settings.namespace or None,
        )

    @contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        where = f"Vault at {urlsplit(self._settings.url).netloc.rpartition('@')[2]}, {doing}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                yield
        except tuple(_FAULTS) as exc:
            # Not the text of the error, which may repeat what was sent.
            fault, away = next(_FAULTS[kind] for kind in _FAULTS if isinstance(exc, kind))
            fault = fault.format(
                kind=type(exc).__name__, seconds=self._settings.timeout_seconds
            )
            raise VaultError(f"{where}: {fault}", away=away) from None


class _BoundedAdapter(HTTPAdapter):
    """Reads a whole answer within the timeout and a size."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        self._timeout_seconds = timeout_seconds

    def send(  # type: ignore[explicit-override] # typing.override came with Python 3.12
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request and read its answer."""
        deadline = time.monotonic() + self._timeout_seconds
        response = super().send(request, *args, **{**kwargs, "stream": True})
        body = bytearray()
        while chunk := response.raw.read1(65_536, decode_content=True):
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                response.close()
                raise requests.exceptions.ConnectionError("the answer is too large")
            if time.monotonic() > deadline:
                response.close()
                raise requests.exceptions.ReadTimeout("the answer is too slow")
        response._content = bytes(body)
        return response


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise VaultError(
            f"vault.kubernetes_token_file: {path} cannot be read; mount a service account token there"
        ) from None


def _member(answer: object, key: str) -> Mapping[str, Any]:
    value = answer.get(key) if isinstance(answer, Mapping) else None
    if not isinstance(value, Mapping):
        raise VaultError(
            "the answer is not from the API of Vault (a redirect or another server); check vault.url"
        )
    return value
