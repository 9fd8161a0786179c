"""Decide the next step of an escalation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.config.escalation import BusinessHoursSettings, EscalationRule, EscalationSettings
from notifier.events.entry import Priority
from notifier.pipeline.recorder import FirstCheck

ESCALATION_TYPE = "notifier.escalation"
ACKNOWLEDGED_TYPE = "notifier.acknowledged"


@dataclass(frozen=True, slots=True)
class Step:
    """A channel to which an event was escalated."""

    number: int
    channel: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """An event that waits to be acknowledged."""

    priority: Priority
    since: datetime
    """When its first notification was delivered or failed."""
    channels: tuple[str, ...]
    """Those that got the event from the beginning."""
    steps: tuple[Step, ...]
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more follows."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing follows before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Escalate:
    """Escalate to this channel now."""

    step: int
    channel: str
    next_check: datetime


Decision = Finished | Wait | Escalate


class BusinessHours:
    """When people work."""

    def __init__(self, settings: BusinessHoursSettings) -> None:
        self.settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        self._days = frozenset(_DAYS.index(day) for day in settings.days)
        self._start = time.fromisoformat(settings.start)
        self._end = time.fromisoformat(settings.end)

    def opening_after_day_of(self, moment: datetime) -> datetime:
        """Return when the next business day after that of `moment` begins."""
        return self._opening(moment.astimezone(self._zone).date() + timedelta(days=1))

    def next_open(self, moment: datetime) -> datetime:
        """Return `moment` when people work then, else when they begin to."""
        local = moment.astimezone(self._zone)
        day = local.date()
        if day.weekday() in self._days:
            if self._at(day, self._start) <= moment < self._at(day, self._end):
                return moment
            if moment < self._at(day, self._start):
                return self._at(day, self._start)
        return self.opening_after_day_of(moment)

    def _opening(self, day: date) -> datetime:
        while day.weekday() not in self._days:
            day += timedelta(days=1)
        return self._at(day, self._start)

    def _at(self, day: date, clock: time) -> datetime:
        # Through UTC, so that a time that daylight saving skips is a real moment again.
        local = datetime.combine(day, clock, self._zone)
        return local.astimezone(ZoneInfo("UTC"))


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Matrix:
    """The rules by priority."""

    rules: Mapping[Priority, EscalationRule]
    hours: BusinessHours
    forget_after: timedelta
    enabled: bool
    poll_seconds: float

    @classmethod
    def of(cls, settings: EscalationSettings, hours: BusinessHoursSettings) -> Matrix:
        """Build from settings."""
        rules = {
            Priority.CRITICAL: settings.CRITICAL,
            Priority.HIGH: settings.HIGH,
            Priority.MEDIUM: settings.MEDIUM,
            Priority.LOW: settings.LOW,
        }
        forget_after = timedelta(seconds=settings.forget_after_seconds)
        return cls(
            rules, BusinessHours(hours), forget_after, settings.enabled, settings.poll_seconds
        )

    def decide(self, case: Case, now: datetime) -> Decision:
        """Return the next step, which depends on the case and the time alone."""
        rule = self.rules.get(case.priority)
        if case.acknowledged or rule is None or self.forgets(case.since, now):
            return Finished()
        done = len(case.steps)
        chain = chain_of(rule, case.channels)
        if done >= len(chain):
            return Finished()
        due = self._due(rule, case.steps[-1].at if case.steps else case.since)
        if rule.next_business_day and due <= now:
            due = self.hours.next_open(now)
        if now < due:
            return Wait(due)
        return Escalate(_next_number(case.steps), chain[done], self._due(rule, now))

    @property
    def rules_and_hours(
        self,
    ) -> tuple[Mapping[Priority, EscalationRule], BusinessHoursSettings]:
        """Return what the times of checks follow from."""
        return self.rules, self.hours.settings

    def forgets(self, since: datetime, now: datetime) -> bool:
        """Tell whether an event has waited too long to be escalated."""
        return now - since > self.forget_after

    def first_checks(self, since: datetime) -> list[FirstCheck]:
        """Return when to check rows that wait since then or later.

        Priorities that never escalate are left out.
        """
        return [
            FirstCheck(priority, at=self.hours.opening_after_day_of(since))
            if rule.next_business_day
            else FirstCheck(priority, after_seconds=rule.after_seconds)
            for priority, rule in self.rules.items()
            if rule.chain
        ]

    def by_hand(self, case: Case) -> tuple[int, str]:
        """Return number and channel of the step that a person asks for.

        It is the next of the chain; after its end the last channel is used again. A priority without a chain uses
        that of CRITICAL.
        """
        rule = self.rules.get(case.priority)
        if rule is None or not rule.chain:
            rule = self.rules[Priority.CRITICAL]
        chain = chain_of(rule, case.channels) or case.channels[-1:]
        return _next_number(case.steps), chain[min(len(case.steps), len(chain) - 1)]

    def _due(self, rule: EscalationRule, base: datetime) -> datetime:
        if rule.next_business_day:
            return self.hours.opening_after_day_of(base)
        return base + timedelta(seconds=rule.after_seconds)


def chain_of(rule: EscalationRule, channels: Sequence[str]) -> tuple[str, ...]:
    """Return the channels to escalate to, in order.

    Channels at the head of the chain that got the event from the beginning are skipped; the last of the chain
    always gets it.
    """
    chain = rule.chain
    while len(chain) > 1 and chain[0] in channels:
        chain = chain[1:]
    return chain


def _next_number(steps: Sequence[Step]) -> int:
    return max((step.number for step in steps), default=0) + 1


def escalation_event_id(notification_id: str, step: int) -> str:
    """Return the id that makes intake drop the second of two equal steps."""
    return f"escalation:{notification_id}:{step}"
