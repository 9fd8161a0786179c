"""What the sections of the settings share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveSeconds = Annotated[float, Field(gt=0, le=30 * 86400)]


class Section(BaseModel):
    """One table of config.toml: frozen, and without keys that mean nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def check_web_url(url: str) -> str:
    """Return a base URL without the slash at its end; raises ValueError when it is neither http nor https nor empty."""
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://, or be empty")
    return url.rstrip("/")
