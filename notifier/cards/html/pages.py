"""HTML pages from jinja2 templates, and the policies that protect them."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


def page_templates(*packages: str) -> Environment:
    """Return the templates in the folders `templates` of these packages.

    Every value is escaped, and a name that has no value is an error.
    """
    return Environment(
        loader=FileSystemLoader([str(files(each).joinpath("templates")) for each in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def own_file(package: str, name: str) -> Markup:
    """Return a script or style of ours, which a page holds unescaped."""
    text = files(package).joinpath("static", name).read_text(encoding="utf-8")
    return own_text(text)


def own_text(text: str) -> Markup:
    """Return a text of ours, never of an event, for a page unescaped."""
    return Markup(text)  # noqa: S704 # nosec B704 - our own text


def json_data(value: object) -> Markup:
    """Return JSON for a script element; no text in it ends the element."""
    return own_text(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def source_hash(text: str) -> str:
    """Return how a Content-Security-Policy names this script or style."""
    digest = hashlib.sha256(str(text).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def content_policy(**allowed: str) -> str:
    """Return a Content-Security-Policy that allows only these sources.

    Such as style_src="'self'".
    """
    sources = {"default_src": "'none'", "base_uri": "'none'", "form_action": "'none'"} | allowed
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in sources.items())
