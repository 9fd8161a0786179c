"""What names and times in the settings look like."""

from __future__ import annotations

NAME = r"^[a-z][a-z0-9_]{0,63}$"
"""Of a channel or a card."""
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
HEADER = r"^([A-Za-z0-9-]{1,64})?$"
STREAM = r"^[^{}\s]{1,200}$"
