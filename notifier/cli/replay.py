"""notifier replay: events of a time range again, where they were not delivered."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from notifier.cli.dlq import ByOption, ChannelOption, DryOption, RateOption, TypeOption
from notifier.cli.options import ConfigOption, found_secrets, settings, with_redis
from notifier.config import Config
from notifier.errors import NotifierError
from notifier.events import parse_entry
from notifier.masking import Masking, mask_event_data
from notifier.notifications import Notification, encode
from notifier.provenance import Signers
from notifier.routing import Catalogue
from notifier.secrets import signers
from notifier.store.dead_letters import DeadLetterLog
from notifier.streams.group import ConsumerGroup
from notifier.streams.history import entries_between, values_of
from notifier.streams.keys import Keys

TIME_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@dataclass(frozen=True, slots=True)
class _Range:
    since: datetime
    until: datetime | None
    event_type: str | None
    channel: str | None


def replay_events(
    since: Annotated[
        datetime,
        typer.Option(formats=TIME_FORMATS, help="Events added at this time (UTC) or later."),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=TIME_FORMATS,
            help="Events added before this time (UTC).",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    event_type: TypeOption = None,
    channel: ChannelOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what was delivered; it is posted once more.")
    ] = False,
    dry_run: DryOption = False,
    rate: RateOption = 10.0,
    by: ByOption = None,
    why: Annotated[
        str | None, typer.Option(help="Why, for the record.", show_default=False)
    ] = None,
) -> None:
    """Route the events of a time range again and deliver what was not delivered.

    What waits in a lane, waits to be recorded, or is a dead letter (notifier dlq replay) is left alone. Events are kept in
    their stream for intake.retention_seconds, however they ended.
    """
    loaded = settings(config)
    wanted = _Range(
        since.replace(tzinfo=UTC),
        until.replace(tzinfo=UTC) if until else None,
        event_type,
        channel,
    )

    async def run(group: ConsumerGroup) -> tuple[int, int]:
        log = DeadLetterLog(
            loaded.database.url, connect_timeout_seconds=loaded.database.connect_timeout_seconds
        )
        again = kept = 0
        try:
            busy = {
                stream: await _on_their_way(group, loaded, stream) for stream in loaded.streams
            }
            async for stream, notification in _notifications(group, loaded, wanted):
                if notification.id in busy[stream] or (
                    not force and await log.delivered(notification.id)
                ):
                    kept += 1
                    continue
                again += 1
                typer.echo(
                    f"{notification.event_id} {notification.event_type} → {notification.channel}"
                )
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
    typer.echo(f"{again} {verb}, {kept} left alone: delivered, on their way or dead letters")


async def _notifications(
    group: ConsumerGroup, config: Config, wanted: _Range
) -> AsyncIterator[tuple[str, Notification]]:
    catalogue = Catalogue(config.routes, config.channels)
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    trusted = _signers(config)
    for stream in config.streams:
        seen: set[str] = set()
        async for entry in entries_between(group, stream, wanted.since, wanted.until):
            if trusted.fault(entry.fields or {}):
                continue
            try:
                event = parse_entry(
                    stream,
                    entry.id,
                    entry.fields or {},
                    max_bytes=config.intake.max_event_bytes,
                )
                routed = catalogue.route(event, mask_event_data(event.data, masking))
            except NotifierError:
                # It is a dead letter, which has a command of its own.
                continue
            for notification in routed.notifications:
                if notification.id in seen:
                    continue
                seen.add(notification.id)
                if wanted.event_type in (None, notification.event_type) and wanted.channel in (
                    None,
                    notification.channel,
                ):
                    yield stream, notification


def _signers(config: Config) -> Signers:
    """Return whose events may be replayed; secrets are looked for only when signatures are required."""
    if not config.intake.require_signature:
        return Signers(required=False)
    return signers(config, found_secrets(config))


async def _on_their_way(group: ConsumerGroup, config: Config, stream: str) -> set[str | None]:
    """Return the ids of what waits in a lane, waits to be recorded, or is a dead letter."""
    keys = Keys(stream)
    lanes = [
        keys.lane(name, urgent=urgent) for name in config.channels for urgent in (True, False)
    ]
    busy: set[str | None] = set()
    for lane in lanes:
        busy |= {_id_in(text) for text in await values_of(group, lane, b"notification")}
    busy |= {_id_in(text) for text in await values_of(group, keys.outcomes, b"outcome")}
    return busy | {
        text.decode() for text in await values_of(group, keys.dead, b"notification_id")
    }


def _id_in(text: bytes) -> str | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return str(record.get("id")) if isinstance(record, dict) else None


async def _put(
    group: ConsumerGroup,
    log: DeadLetterLog,
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
    await log.note(record, action="replay", who=by, why=why)
    await group.add(lane, {"notification": text})
