"""The page where an operator types the admin token."""

from __future__ import annotations

from html import escape

from notifier.web.public.pages import STYLE_HASH, plain_page

POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""The page's Content-Security-Policy."""


def page(action: str, problem: str) -> str:
    """Return the form, which posts to `action`; `problem` says what was wrong the time before."""
    wrong = f'<p class="wrong" id="wrong" role="alert">{escape(problem)}</p>' if problem else ""
    described = ' aria-describedby="wrong" aria-invalid="true"' if problem else ""
    return plain_page(
        "Console",
        f'<h1>Console</h1><form method="post" action="{escape(action)}">'
        f'<label for="token">Admin token</label><p class="hint">The secret TEAMS_ADMIN_TOKEN of this daemon.</p>{wrong}'
        f'<input id="token" name="token" type="password" required autofocus autocomplete="current-password"{described}>'
        "<button>Log in</button></form>",
    )
