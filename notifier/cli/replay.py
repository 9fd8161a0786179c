"""notifier replay: events of a time range again, where they were not delivered."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from notifier.broker.group import ConsumerGroup
from notifier.broker.history import entries_between
from notifier.broker.keys import Keys
from notifier.cli.dlq import ByOption, ChannelOption, DryOption, RateOption, TypeOption
from notifier.cli.filters import require_channel
from notifier.cli.options import ConfigOption, found_secrets, plain, settings, with_redis
from notifier.cli.times import METAVAR, period
from notifier.config import Config
from notifier.config.secrets import signers
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.errors import NotifierError
from notifier.events.entry import Event, parse_entry, with_believed_time
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import Notification, encode
from notifier.events.producer_signature import Signers, is_own, unpacked
from notifier.events.routing import Catalogue
from notifier.events.times import entry_time

_PASS = 5_000
_PASS_BYTES = 16 * 2**20
"""Notifications in hand at a time, by number and by the bytes of their events: a range may hold millions."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Range:
    since: datetime | None
    until: datetime | None
    event_type: str | None
    channel: str | None


def replay_events(
    since: Annotated[
        str,
        typer.Option(
            metavar=METAVAR,
            help="Events added at this time or later: 2h, today, 2026-11-24T10:00 (UTC), …+03:00.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(
            metavar=METAVAR,
            help="Events added before this time.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    event_type: TypeOption = None,
    channel: ChannelOption = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also what was delivered, which is posted once more, or discarded."
        ),
    ] = False,
    dry_run: DryOption = False,
    rate: RateOption = 10.0,
    by: ByOption = None,
    why: Annotated[
        str | None, typer.Option(help="Why, for the record.", show_default=False)
    ] = None,
) -> None:
    """Route the events of a time range again and deliver what was not delivered.

    What waits to be read, in a lane or to be recorded, is a dead letter (notifier dlq replay) or was discarded is left alone. Events are kept in
    their stream for intake.retention_seconds, however they ended.
    """
    loaded = settings(config)
    start, end = period(since, until)
    # Events go to the channels of today only; what waits for one that is no more is for: notifier lanes, notifier dlq.
    require_channel(loaded, channel, "--channel")
    wanted = _Range(start, end, event_type, channel)
    # What this run itself has brought to its end is delivered, even if what was so before is meant too.
    delivered_since = datetime.now(UTC) if force else _EVER

    async def run(group: ConsumerGroup) -> tuple[int, int]:
        log = DeadLetterAudit(
            loaded.database.url, connect_timeout_seconds=loaded.database.connect_timeout_seconds
        )
        again = kept = 0
        try:
            async for stream, found in _passes(group, loaded, wanted):
                wait = await _undelivered(
                    group, log, loaded, stream, list(found), since=delivered_since
                )
                if not force and wait:
                    of = {each: found[each].event_id for each in wait}
                    gone = await log.discarded(of)
                    wait = [each for each in wait if each not in gone]
                kept += len(found) - len(wait)
                again += len(wait)
                for notification_id in wait:
                    notification = found[notification_id]
                    way = f"{notification.event_type} → {notification.channel}"
                    typer.echo(plain(f"{notification.event_id} {way}").plain)
                    if dry_run:
                        continue
                    await _put(
                        group, log, stream, notification, by=by or getpass.getuser(), why=why
                    )
                    if rate:
                        await asyncio.sleep(1 / rate)
        finally:
            await log.close()
        return again, kept

    again, kept = with_redis(loaded, run)
    verb = "would be replayed" if dry_run else "replayed"
    typer.echo(
        f"{again} {verb}, {kept} left alone: delivered, on their way, dead letters or discarded"
    )


async def _passes(
    group: ConsumerGroup, config: Config, wanted: _Range
) -> AsyncIterator[tuple[str, dict[str, Notification]]]:
    """Yield the notifications of the range by id, a bounded number at a time, each with its event stream."""
    for stream in config.streams:
        found: dict[str, Notification] = {}
        size = 0
        async for entry_bytes, notification in _notifications(group, config, wanted, stream):
            size += 0 if notification.id in found else entry_bytes
            found.setdefault(notification.id, notification)
            if len(found) >= _PASS or size >= _PASS_BYTES:
                yield stream, found
                found, size = {}, 0
        if found:
            yield stream, found


async def _notifications(
    group: ConsumerGroup, config: Config, wanted: _Range, stream: str
) -> AsyncIterator[tuple[int, Notification]]:
    """Yield what the events that intake is through with become today, with the size of each event."""
    catalogue = Catalogue(config.routes, config.channels)
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    trusted = _signers(config)
    own: Signers | None = None
    floor = await group.floor(stream)
    async for entry in entries_between(group, stream, wanted.since, wanted.until):
        fields = entry.fields or {}
        # What intake has not acknowledged it will route itself.
        if not floor.passed(entry.id) or trusted.fault(fields):
            continue
        try:
            event = parse_entry(
                stream, entry.id, fields, max_bytes=config.intake.max_event_bytes
            )
            event = with_believed_time(event, datetime.now(UTC))
            if is_own(event):
                own = own or _known_signers(config)
                if _is_forged(own, config, event, fields):
                    continue
                event = unpacked(event, believed=True)
            routed = catalogue.route(event, mask_event_data(event.data, masking))
        except NotifierError:
            # It is a dead letter, which has a command of its own.
            continue
        size = sum(len(value) for value in fields.values())
        for notification in routed.notifications:
            if wanted.event_type in (None, notification.event_type) and wanted.channel in (
                None,
                notification.channel,
            ):
                yield size, notification


def _signers(config: Config) -> Signers:
    """Return whose events may be replayed; secrets are looked for only when signatures are required."""
    if not config.intake.require_signature:
        return Signers(required=False)
    return _known_signers(config)


def _known_signers(config: Config) -> Signers:
    return signers(config, found_secrets(config))


def _is_forged(
    trusted: Signers, config: Config, event: Event, fields: Mapping[bytes, bytes]
) -> bool:
    """Tell whether an event of notifier's own does not have its signature, or no key is at hand to see it."""
    return trusted.own is None or bool(
        trusted.own_fault(
            event,
            fields,
            added=min(entry_time(event.entry_id), datetime.now(UTC)),
            fresh_seconds=config.intake.event_ttl_seconds,
        )
    )


async def _undelivered(
    group: ConsumerGroup,
    log: DeadLetterAudit,
    config: Config,
    stream: str,
    notification_ids: Sequence[str],
    *,
    since: datetime,
) -> list[str]:
    """Return, in their order, those that wait nowhere, are no dead letter and were not delivered."""
    left = set(notification_ids) - await log.delivered(notification_ids, since=since)
    # In the order of their way: what goes on meanwhile is met further on.
    keys = Keys(stream)
    for name in config.channels:
        for urgent in (True, False):
            lane = keys.lane(name, urgent=urgent)
            await _take_out(group, lane, b"notification", left)
    await _take_out(group, keys.dead, b"notification_id", left)
    await _take_out(group, keys.outcomes, b"outcome", left)
    if left:
        left -= await log.delivered(list(left), since=since)
    return [each for each in notification_ids if each in left]


async def _take_out(group: ConsumerGroup, stream: str, field: bytes, left: set[str]) -> None:
    """Remove from `left` what waits in a stream."""
    if not left:
        return
    async for entry in entries_between(group, stream, None, None):
        text = (entry.fields or {}).get(field, b"")
        left.discard(text.decode() if field == b"notification_id" else _id_in(text) or "")


def _id_in(text: bytes) -> str | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return str(record.get("id")) if isinstance(record, dict) else None


async def _put(
    group: ConsumerGroup,
    log: DeadLetterAudit,
    stream: str,
    notification: Notification,
    *,
    by: str,
    why: str | None,
) -> None:
    lane = Keys(stream).lane(notification.channel, urgent=notification.priority.urgent)
    text = encode(notification).decode()
    record = {
        "stream": stream, "id": f"event {notification.entry_id} {notification.channel}", "reason": "replay --since",
        "channel": notification.channel, "event_type": notification.event_type, "event_id": notification.event_id,
        "correlation_id": notification.correlation_id, "notification_id": notification.id,
    }  # fmt: skip
    noted = await log.note(record, action="replay", who=by, why=why)
    await group.add_once(lane, {"notification": text})
    await log.settle(noted, done=True)
