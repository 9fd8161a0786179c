"""Build the stages of a process and the loops that drive them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

import structlog

from notifier.broker.keys import Keys, accepted_stream
from notifier.config import Config
from notifier.daemon.channels import Channels
from notifier.daemon.dependencies import Dependencies
from notifier.daemon.loops import Loop
from notifier.daemon.snapshot import Snapshot
from notifier.errors import EncodingError, SchemaError, StoreError
from notifier.escalation.action_recorder import ActionRecorder
from notifier.escalation.actions import Actions
from notifier.escalation.policy import Matrix
from notifier.escalation.repository import EscalationRepository
from notifier.escalation.scheduler import EscalationScheduler
from notifier.events.producer_signature import sign_own
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.intake import Intake, IntakeRules
from notifier.pipeline.recorder import AuditTrail, Recorder
from notifier.store.database import KeptConnection
from notifier.telemetry.clock import utc_now

_SCHEMA_SECONDS = 10.0
"""Deliveries begin after this at the latest."""
_LONGER_THAN_LINKS_SECONDS = 86_400.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Components:
    """The stages of one process, and the loops that drive them."""

    channels: Channels
    intakes: Sequence[Intake]
    recorders: Sequence[Recorder]
    working: Sequence[Loop]
    """Loops that end once `stop` is set."""
    serving: Sequence[Loop]
    """Loops that the working ones need; they are cancelled when these have ended."""

    def use(self, new: Snapshot) -> None:
        """Continue with a new snapshot."""
        for intake in self.intakes:
            intake.rules = _rules(new)
        for recorder in self.recorders:
            recorder.use(new.config.recorder)
        self.channels.use(new)


async def build_components(dependencies: Dependencies, stack: AsyncExitStack) -> Components:
    """Build the stages of the process; `stack` closes their connections.

    Raises:
        SchemaError: The database is older than the code.
    """
    streams, stages = dependencies.config.streams, dependencies.stages
    intakes = {
        stream: _intake(dependencies, stream) for stream in streams if "intake" in stages
    }
    working = [
        dependencies.stage_loop(f"intake {stream}", intake.step)
        for stream, intake in intakes.items()
    ]
    batchers = {
        stream: HopBatcher(dependencies.group) for stream in streams if "delivery" in stages
    }
    channels = Channels(dependencies, batchers)
    stack.push_async_callback(channels.close)
    serving = [Loop(f"outcomes {stream}", each.run) for stream, each in batchers.items()]
    if batchers:
        serving.append(Loop("pauses", channels.follow_pauses))
    recorders: dict[str, Recorder] = {}
    if "recorder" in stages:
        recorders = await _recorders(dependencies, stack)
        scheduler, actions = _escalation(dependencies, stack)
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            f"recorder {stream}": recorder.step for stream, recorder in recorders.items()
        }
        steps |= {"recorder actions": actions.step, "escalation": scheduler.step}
        # Deliveries do not need Postgres; a process that only records does.
        required = stages == {"recorder"}
        working += [
            dependencies.stage_loop(name, step, required=required)
            for name, step in steps.items()
        ]
    return Components(
        channels, list(intakes.values()), list(recorders.values()), working, serving
    )


async def _recorders(dependencies: Dependencies, stack: AsyncExitStack) -> dict[str, Recorder]:
    recorders: dict[str, Recorder] = {}
    for stream in dependencies.config.streams:
        # One connection for each recorder: transactions of two would undo each other.
        store = AuditTrail(dependencies.database)
        stack.push_async_callback(store.close)
        if not recorders:
            await _require_schema(store)
        recorders[stream] = _recorder(dependencies, stream, store)
    return recorders


def read_streams(dependencies: Dependencies, channels: Channels) -> list[str]:
    """Return every stream that this process reads as a consumer."""
    config, streams = dependencies.config, list[str]()
    if "intake" in dependencies.stages:
        streams += config.streams
    if "recorder" in dependencies.stages:
        streams += [Keys(stream).outcomes for stream in config.streams]
        streams.append(accepted_stream(config.redis.group))
    for lane in channels.lanes:
        streams += lane.lanes
    return streams


def accepted_actions(dependencies: Dependencies) -> Actions:
    """Return the actions in Redis, kept for longer than a link works."""
    config = dependencies.config
    return Actions(dependencies.group, remember_seconds=remember_actions_seconds(config))


def remember_actions_seconds(config: Config) -> float:
    """Return how long Redis keeps an action, in seconds."""
    return config.public.link_ttl_seconds + _LONGER_THAN_LINKS_SECONDS


def channel_titles(config: Config) -> Mapping[str, str]:
    """Return the title of each channel."""
    return {name: channel.title for name, channel in config.channels.items()}


def _intake(dependencies: Dependencies, stream: str) -> Intake:
    snapshot = dependencies.snapshot

    def latest() -> datetime:
        # An event's time is only in the future when it is so by both clocks.
        return max(utc_now(), dependencies.clock.now())

    return Intake(
        dependencies.group,
        stream,
        _rules(snapshot),
        redis_settings=snapshot.config.redis,
        now=latest,
        spans=dependencies.spans,
    )


def _rules(new: Snapshot) -> IntakeRules:
    return IntakeRules(new.catalogue, new.masking, new.config.intake, new.signers)


def _recorder(dependencies: Dependencies, stream: str, store: AuditTrail) -> Recorder:
    config = dependencies.config
    return Recorder(
        dependencies.group,
        stream,
        store=store,
        leases=dependencies.leases,
        settings=config.recorder,
        redis_settings=config.redis,
        checks=lambda since: _matrix(dependencies).first_checks(since),
        now=utc_now,
        spans=dependencies.spans,
    )


def _escalation(
    dependencies: Dependencies, stack: AsyncExitStack
) -> tuple[EscalationScheduler, ActionRecorder]:
    def publish(stream: str, entries: Sequence[Mapping[str, str]]) -> Awaitable[object]:
        keys = dependencies.secrets.keys
        return dependencies.group.add_all(
            stream, [sign_own(keys, stream, fields) for fields in entries]
        )

    scheduler = EscalationScheduler(
        _escalation_repository(dependencies, stack),
        accepted_actions(dependencies),
        publish,
        lambda: _matrix(dependencies),
        titles=lambda: channel_titles(dependencies.config),
        stop=dependencies.stop,
        now=utc_now,
    )
    recorder = ActionRecorder(
        dependencies.group,
        _escalation_repository(dependencies, stack),
        scheduler,
        publish,
        leases=dependencies.leases,
        redis_settings=dependencies.config.redis,
        announced=lambda: dependencies.config.public.announce_acknowledgements,
        now=dependencies.clock.now,
    )
    return scheduler, recorder


def _escalation_repository(
    dependencies: Dependencies, stack: AsyncExitStack
) -> EscalationRepository:
    connection = KeptConnection(dependencies.database)
    stack.push_async_callback(connection.close)
    return EscalationRepository(connection)


def _matrix(dependencies: Dependencies) -> Matrix:
    return Matrix.of(dependencies.config.escalation, dependencies.config.business_hours)


async def _require_schema(store: AuditTrail) -> None:
    try:
        async with asyncio.timeout(_SCHEMA_SECONDS):
            await store.check_schema()
    except TimeoutError:
        log.warning("database_away", reason=f"no answer within {_SCHEMA_SECONDS:g} s")
    except (SchemaError, EncodingError):
        raise  # waiting does not help
    except StoreError as exc:
        # Deliveries do not need Postgres; outcomes wait in Redis.
        log.warning("database_away", reason=str(exc))
