"""The base of all sections, and the field types that several use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveSeconds = Annotated[float, Field(gt=0, le=30 * 86400)]

NAME = r"^[a-z][a-z0-9_]{0,63}$"
"""Of a channel or a card."""
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
HEADER = r"^([A-Za-z0-9-]{1,64})?$"
STREAM = r"^[^{}\s]{1,200}$"


class Section(BaseModel):
    """One table of config.toml: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
