"""Refuse filters that can match nothing, so that a slip of the pen is not taken for an empty answer."""

from __future__ import annotations

import re

import typer

from notifier.broker.consumer import Consumer
from notifier.cli.times import period
from notifier.config import Config
from notifier.dead_letters import listing as deadletters
from notifier.dead_letters.abandoned_lanes import AbandonedLanes
from notifier.dead_letters.listing import Filter
from notifier.dead_letters.model import Reason
from notifier.events.masking import Masking

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def dead_letter_id(text: str) -> str:
    """Return the id of a dead letter as it was typed; raises typer.BadParameter when it cannot be one."""
    if _ENTRY_ID.fullmatch(text) and max(map(int, text.split("-"))) < 2**64:
        return text
    raise typer.BadParameter(
        f"{text} is not the id of a dead letter, such as 1764000000000-0; see: notifier dlq list"
    )


def letter_filter(
    reason: Reason | None,
    channel: str | None,
    event_type: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Return which dead letters are meant; raises typer.BadParameter for what is no time, and when no time lies between them."""
    return Filter(reason, channel, event_type, *period(since, until))


def require_channel(config: Config, name: str | None, option: str) -> None:
    """Raise typer.BadParameter when this is given and no channel of the configuration."""
    if name is not None and name not in config.channels:
        raise typer.BadParameter(
            f"{name} is no channel; channels are {', '.join(config.channels)}",
            param_hint=option,
        )


async def require_known_channel(
    group: Consumer, config: Config, masking: Masking, name: str | None
) -> None:
    """Refuse a channel of which no dead letters were found, if neither settings, lanes nor dead letters know it.

    A channel that was removed stays usable. It reads through all dead letters, so ask only when nothing was found.

    Raises:
        typer.BadParameter: Nothing knows it.
        StreamError: Redis is away.
    """
    if name is None or name in config.channels:
        return
    known = {*config.channels, *await removed_channels(group, config)}
    if name in known or await deadletters.list_dead_letters(
        group, config.streams, masking, limit=1, wanted=Filter(channel=name)
    ):
        return
    raise typer.BadParameter(
        f"{name} is and was no channel, and no dead letter names it; known are {', '.join(sorted(known))}",
        param_hint="--channel",
    )


async def removed_channels(group: Consumer, config: Config) -> set[str]:
    """Return the channels that have or had lanes and are not in the configuration; raises StreamError."""
    lanes = AbandonedLanes(group)
    found: set[str] = set()
    for stream in config.streams:
        found |= {*await lanes.waiting(stream)}
    return found - {*config.channels}
