"""Publish events as any producer does: check, sign and add them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec import structs
from pydantic import JsonValue

from notifier.cards.fields import Fields, read_fields, shown_fields, unused_fields
from notifier.cards.library import CardFiles, CardLibrary, card_folders
from notifier.cards.preview import Preview
from notifier.config import Config
from notifier.config.secrets import secret_sources, signers, survey_secrets
from notifier.errors import CardError, EventError, NotifierError, TemplateError
from notifier.events.entry import ENVELOPE, Event, parse_entry
from notifier.events.json import MAX_DEPTH, to_exact_json
from notifier.events.notification import Notification
from notifier.events.producer_signature import (
    OWN_PREFIX,
    ProducerKey,
    is_own,
    key_bytes,
    parse_producer_key,
    sign,
)
from notifier.events.routing import Catalogue, UnroutableError
from notifier.events.times import ahead_of
from notifier.telemetry.clock import duration
from notifier.telemetry.findings import by_cause

if TYPE_CHECKING:
    from notifier.broker.streams import Streams

_ENV = "TEAMS_PRODUCER_KEY"

Members = Mapping[str, JsonValue]


def published(
    stream: str, members: Mapping[str, JsonValue], *, entry_id: str = "0-0", max_bytes: int
) -> Event:
    """Read an event as the daemon will once it is published.

    Raises:
        EventError: The daemon would refuse it; names the field at fault and the fix.
    """
    # Half of a surrogate pair is let through here, for the daemon's own check to name.
    try:
        raw = to_exact_json(members).encode(errors="surrogatepass")
    except RecursionError:
        raise EventError("event", f"is nested too deeply; the limit is {MAX_DEPTH}") from None
    return parse_entry(stream, entry_id, {b"event": raw}, max_bytes=max_bytes)


@dataclass(frozen=True, slots=True)
class AcceptedEvent:
    """An event that the daemon accepts, and its place in the input."""

    place: str
    members: Members
    event: Event


def accept(
    config: Config, events: Iterable[tuple[str, Members]], faults: list[str]
) -> Iterator[AcceptedEvent]:
    """Yield the events that the daemon accepts; note the faults of others."""
    read = partial(published, config.streams[0], max_bytes=config.intake.max_event_bytes)
    for place, given in events:
        members = given
        try:
            event = read(members)
            if event.id == event.entry_id:
                # A client repeats a command without an answer; the daemon drops the second event of an id.
                members = {**members, "id": str(uuid4())}
                event = read(members)
        except EventError as exc:
            faults.append(f"{place}: {exc}")
        else:
            yield AcceptedEvent(place, members, event)


def warnings(
    config: Config,
    accepted: Sequence[AcceptedEvent],
    key: ProducerKey | None,
    env: Mapping[str, str],
    now: datetime,
    *,
    routes: bool,
) -> list[str]:
    """Return doubts about signature, time and data; `routes` adds routes."""
    if not accepted:
        return []
    events = [(each.place, each.event) for each in accepted]
    catalogue = Catalogue(config.routes, config.channels)
    signature = signature_doubt(config, key, env)
    lost = ((place, _why_lost(catalogue, event)) for place, event in events)
    return [
        *([signature] if signature else []),
        *by_cause((place, _why_early(event, now)) for place, event in events),
        *_unshown(config, catalogue, events),
        *(by_cause(lost) if routes else []),
    ]


async def publish(
    streams: Streams,
    stream: str,
    accepted: Iterable[AcceptedEvent],
    key: ProducerKey | None,
) -> AsyncIterator[str]:
    """Add events to a stream, signed if there is a key; yield entry ids.

    Raises:
        StreamError: Redis is away or refuses.
    """
    for each in accepted:
        yield await streams.add(stream, signed(key, {"event": to_exact_json(each.members)}))


def signing_key(env: Mapping[str, str]) -> ProducerKey | None:
    """Return the key of TEAMS_PRODUCER_KEY, None without one.

    Raises:
        NotifierError: It cannot be used.
    """
    text = env.get(_ENV)
    try:
        return parse_producer_key(text) if text else None
    except ValueError as exc:
        raise NotifierError(f"{_ENV}: {exc}") from None


def signed(key: ProducerKey | None, fields: Mapping[str, str]) -> dict[str, str]:
    """Return an entry with its signature; without a key it stays the same."""
    return dict(fields) if key is None else sign(key.name, key_bytes(key), fields)


def signature_doubt(
    config: Config, key: ProducerKey | None, env: Mapping[str, str]
) -> str | None:
    """Return why events with this key become dead letters (unsigned).

    None: they do not, or the daemon's secrets are not known here.
    """
    if key is None:
        if not config.intake.require_signature:
            return None
        return (
            "it becomes a dead letter (unsigned): intake.require_signature is on and no key is given; "
            f"set {_ENV}=name:key to the key of a producer that the daemon knows"
        )
    if config.vault.url:
        # Vault may know other producers than the environment does; a producer need not reach it, nor wait for it.
        return None
    secrets, _ = survey_secrets(config, secret_sources(env, vault=None))
    if not secrets.producer_keys:
        return None
    entry = signed(key, {"event": "{}"})
    trusted = replace(signers(config, secrets), required=True)
    fault = trusted.fault({name.encode(): text.encode() for name, text in entry.items()})
    return fault and f"it becomes a dead letter (unsigned): {fault}"


def preview_cards(
    config: Config, members: Members, cards: CardLibrary, *, card: str | None = None
) -> list[tuple[Notification, JsonValue]]:
    """Route one event and render its cards; nothing is sent.

    With `card` all are rendered with this template.

    Raises:
        EventError, UnroutableError, CardError, TemplateError: As the daemon would meet them.
    """
    event = published(config.streams[0], members, max_bytes=config.intake.max_event_bytes)
    preview = Preview(config, cards)
    routed = preview.route(event)
    if routed.unknown_channels:
        raise EventError("stakeholders", _no_channel(routed.unknown_channels, config.channels))
    return [
        (item, preview.render(structs.replace(item, card=card or item.card)).card)
        for item in routed.notifications
    ]


def _why_early(event: Event, now: datetime) -> str | None:
    ahead = ahead_of(event.time, now)
    if ahead is None:
        return None
    return f"time: is {duration(ahead.total_seconds())} ahead; write a local time with its offset, such as +03:00"


def _unshown(
    config: Config, catalogue: Catalogue, events: Iterable[tuple[str, Event]]
) -> list[str]:
    """Return data that no card shows, with places; [] for unreadable cards."""
    folders = card_folders(config)
    try:
        fields = read_fields(*folders)
        cards = CardLibrary.on_demand(CardFiles.read(*folders).templates)
        return by_cause(
            (place, text)
            for place, event in events
            for text in _unshown_by(catalogue, cards, fields, event)
        )
    except (CardError, TemplateError, OSError, ValueError):
        # The commands that render cards name the fault.
        return []


def _unshown_by(
    catalogue: Catalogue, cards: CardLibrary, fields: Fields, event: Event
) -> Iterator[str]:
    try:
        [first, *_] = catalogue.route(event, {}).notifications or [None]
    except UnroutableError:
        return
    if first is None or first.card not in cards.templates:
        return
    _, template = cards.find(first.card, event.lang)
    documented = fields.get(first.card, ())
    for unused in unused_fields(event.data, shown_fields(template), documented):
        own = "the event's own " if unused.meant in ENVELOPE else ""
        meant = f"; did you mean {own}{unused.meant}?" if unused.meant else ""
        yield f"data.{unused.name} is not shown on the card {first.card}{meant}"


def _why_lost(catalogue: Catalogue, event: Event) -> str | None:
    if is_own(event):
        return f"it becomes a dead letter (unsigned): types {OWN_PREFIX}… and ids of escalations are notifier's own; use another type and id"
    try:
        unknown = catalogue.route(event, {}).unknown_channels
    except UnroutableError as exc:
        return str(exc)
    if not unknown:
        return None
    return f"stakeholders: {_no_channel(unknown, sorted(catalogue.channels))}"


def _no_channel(unknown: Iterable[str], channels: Iterable[str]) -> str:
    return f"unknown channel {', '.join(unknown)}; channels are {', '.join(channels)}"
