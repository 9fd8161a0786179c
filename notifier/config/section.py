"""What the sections of the settings share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

PositiveSeconds = Annotated[float, Field(gt=0, le=30 * 86400)]


class Section(BaseModel):
    """One table of config.toml: frozen, and without keys that mean nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def check_web_url(url: str) -> str:
    """Return a base URL without the slash at its end; raises ValueError when it is neither http nor https nor empty."""
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://, or be empty")
    try:
        usable = not url or (urlsplit(url).hostname and urlsplit(url).port != 0)
    except ValueError:  # its text may quote what stands in the place of the port
        usable = False
    if not usable:
        raise ValueError(
            "is no address; write it as https://name.example or https://name.example:8443/path"
        )
    return url.rstrip("/")
