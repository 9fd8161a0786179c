"""Check links, public pages, signing keys and access to the console."""

from __future__ import annotations

from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.config.webhook_url import is_loopback
from notifier.telemetry.findings import Finding, fault, ok, warning, warning_of

LINKS = "links"
PUBLIC = "action pages"
KEYS = "keys"
ADMIN = "admin listener"


def check_links(config: Config) -> list[Finding]:
    """Return links that cards leave out, and links without TLS."""
    bases = config.links.model_dump()
    plain = sorted(name for name, url in bases.items() if url.startswith("http://"))
    empty = sorted(name for name, url in bases.items() if not url)
    found = []
    if plain:
        what = f"not encrypted: {', '.join(plain)}"
        found.append(warning(LINKS, what, "write https:// under [links]"))
    if len(empty) == len(bases):
        what = "none is set: cards have no button that leads to claims, logs or dashboards"
        found.append(warning(LINKS, what, "set those that you have under [links]"))
    elif empty:
        found.append(ok(LINKS, f"left out, because not set: {', '.join(empty)}"))
    return found or [ok(LINKS, "all are set")]


def check_public_pages(config: Config, secrets: Secrets) -> list[Finding]:
    """Return faults that stop people from acting from a card, or help others."""
    public = config.public
    found = []
    if not public.url and not public.bind:
        return [ok(PUBLIC, "switched off: cards have no actions")]
    if not public.url:
        what = "public.url is empty: the pages are served, but no card links to them"
        found.append(
            warning(PUBLIC, what, "set public.url to the address of public.bind for people")
        )
    elif not public.url.startswith("https://"):
        what = "public.url is not https: whoever reads the traffic can act from a card"
        found.append(warning(PUBLIC, what, "put a proxy with TLS in front, and write https://"))
    if public.url and not public.bind:
        what = "public.bind is empty here: another process must serve the pages"
        found.append(warning(PUBLIC, what, "set public.bind if no other process serves them"))
    if secrets.keys is None:
        what = "there is no key to sign links with"
        fix = "set TEAMS_HMAC_SECRET_KEY (make one with: notifier keys new)"
        found.append(fault(PUBLIC, what, fix))
    if public.bind and not public.trusted_proxies:
        what = "no proxy is trusted: all clients behind one share the limit of posts"
        found.append(warning(PUBLIC, what, "name the proxy in public.trusted_proxies"))
    return found or [ok(PUBLIC, "cards link to them")]


def check_keys(secrets: Secrets) -> list[Finding]:
    """Return missing and weak keys."""
    found = [warning_of(KEYS, text) for text in secrets.warnings]
    if secrets.keys is None:
        what = "posts are not signed"
        fix = "needed only by receivers that verify and for action links: notifier keys new"
        found.append(warning(KEYS, what, fix))
    else:
        found.append(ok(KEYS, f"posts and links are signed with key {secrets.keys.ids[0]}"))
    return found


def check_admin(config: Config, secrets: Secrets) -> list[Finding]:
    """Tell whether strangers could open the console."""
    admin = config.admin
    if not admin.bind:
        what = "switched off: no probes, metrics or console"
        return [warning(ADMIN, what, "set admin.bind, such as 127.0.0.1:9464")]
    if is_loopback(admin.bind.rpartition(":")[0].strip("[]")):
        return [ok(ADMIN, f"{admin.bind}, reached from this machine only")]
    if secrets.admin_token is None and not admin.user_header:
        what = f"{admin.bind} is open to the network and nothing protects the console, so it is closed"
        fix = "set TEAMS_ADMIN_TOKEN (make one with: notifier keys new), or admin.user_header"
        return [warning(ADMIN, what, fix)]
    return [ok(ADMIN, f"{admin.bind}, the console is protected")]
