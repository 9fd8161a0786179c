"""Check database.url as libpq parses it; refuse useless options."""

from __future__ import annotations

import re
from urllib.parse import unquote

_TLS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version", "channel_binding", "require_auth",
)  # fmt: skip
POSTGRES_OPTIONS = (
    "host", "port", "dbname", "user", "password", "passfile", *_TLS, "gssencmode", "krbsrvname", "options", "target_session_attrs",
    "load_balance_hosts", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
)  # fmt: skip
"""All options that may follow the question mark."""

_SSLMODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
_CHECKING = ("require", "verify-ca", "verify-full")
"""With a file of authorities these check the certificate."""

_INSTEAD = {
    "schema": "write options=-csearch_path%3DNAME",
    "currentSchema": "write options=-csearch_path%3DNAME",
    "search_path": "write options=-csearch_path%3DNAME",
    "pgbouncer": "remove it, and pool by session",
    "ssl": "write sslmode=verify-full",
    "sslaccept": "write sslmode=verify-full",
    "sslcompression": "remove it",
    "connect_timeout": "set database.connect_timeout_seconds",
    "statement_timeout": "set database.statement_timeout_seconds",
    "application_name": "remove it: notifier sets its own",
    "client_encoding": "remove it: it is always UTF8",
    "connection_limit": "remove it",
    "pool_timeout": "remove it",
    "service": "write host, port and user here",
}
_SCHEME = re.compile(r"postgres(?:ql)?://")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:,/?@]*)(?::(?P<port>[0-9]{0,5}))?")
_ESCAPES = re.compile(r"(?:[^%]|%(?!00)[0-9A-Fa-f]{2})*")
_WRITTEN = "must be postgresql://user:password@host:port/name; in a password write %40 for @, %23 for #, %2F for /, %3F for ? and %25 for %"


def check_postgres_url(url: str) -> str:
    """Return the URL.

    Raises:
        ValueError: libpq refuses it, or an option is not in POSTGRES_OPTIONS; never shows a password.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ValueError("must start with postgresql://")
    rest = url[scheme.end() :]
    # To libpq everything up to the first @ before any slash is the login.
    first = re.search(r"[@/]", rest)
    if first is not None and first[0] == "@":
        rest = rest[first.end() :]
    place, _, query = rest.partition("?")
    hosts, _, name = place.partition("/")
    if (
        "@" in place + query
        or not (_ESCAPES.fullmatch(url) and url.isprintable() and _is_utf8(url))
        or "/" in name
    ):
        raise ValueError(_WRITTEN)
    for host in hosts.split(","):
        found = _HOST.fullmatch(host)
        if found is None or not 0 < int(found["port"] or 5432) < 65536:
            raise ValueError(_WRITTEN)
    _check_options(query)
    return url


def _is_utf8(url: str) -> bool:
    try:
        unquote(url, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _check_options(query: str) -> None:
    options: dict[str, str] = {}
    texts = query.split("&")
    if not texts[-1]:  # libpq, too, takes one & at the end
        texts.pop()
    for text in texts:
        name, equals, value = text.partition("=")
        name = unquote(name)
        if not equals or name in options:
            raise ValueError("must name each option once, as name=value, with & between them")
        if name not in POSTGRES_OPTIONS:
            instead = f" ({name}: {_INSTEAD[name]})" if name in _INSTEAD else ""
            raise ValueError(
                f"has an option that is not supported{instead}; options are {', '.join(POSTGRES_OPTIONS)}"
            )
        options[name] = unquote(value)
    mode, authorities = options.get("sslmode"), options.get("sslrootcert")
    if mode is not None and mode not in _SSLMODES:
        raise ValueError(f"sslmode must be one of {', '.join(_SSLMODES)}")
    if authorities not in (None, "system") and mode not in _CHECKING:
        raise ValueError("sslrootcert has an effect only with sslmode=verify-full or verify-ca")
