"""Settings of escalation and of business hours."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from notifier.config.section import CLOCK, Section

_Seconds = Annotated[float, Field(ge=0, le=30 * 86400)]
_Clock = Annotated[str, Field(pattern=CLOCK)]
_Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class EscalationRule(Section):
    """When and where notifications of a priority escalate; empty: never."""

    after_seconds: _Seconds
    next_business_day: bool = False
    chain: tuple[str, ...]

    @model_validator(mode="after")
    def _one_time(self) -> EscalationRule:
        if self.chain and self.next_business_day == (self.after_seconds > 0):
            raise ValueError(
                "needs after_seconds above 0, or next_business_day = true with after_seconds = 0"
            )
        return self


class EscalationSettings(Section):
    """The escalation matrix."""

    enabled: bool
    poll_seconds: Annotated[float, Field(ge=0.05, le=30)]
    forget_after_seconds: Annotated[float, Field(gt=0, le=90 * 86400)]
    CRITICAL: EscalationRule
    HIGH: EscalationRule
    MEDIUM: EscalationRule
    LOW: EscalationRule


class BusinessHoursSettings(Section):
    """When people work, and in which time zone pages show times."""

    time_zone: str
    days: Annotated[tuple[_Day, ...], Field(min_length=1)]
    start: _Clock
    end: _Clock

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                "must be a time zone of this system; use a name such as Asia/Riyadh (Debian: apt install tzdata)"
            ) from None
        return name

    @model_validator(mode="after")
    def _in_order(self) -> BusinessHoursSettings:
        if time.fromisoformat(self.start) >= time.fromisoformat(self.end):
            raise ValueError("start must be before end")
        return self
