"""Make and export spans with OpenTelemetry, if tracing is on."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from notifier.config.models import TracingSettings
from notifier.errors import ConfigError
from notifier.events.trace_context import TraceContext, parse_traceparent
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)

Value = str | int | float | bool | Sequence[str]
Attributes = Mapping[str, Value]

PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
"""The packages of the extra `otel`."""
_FLUSH_SECONDS = 3.0
"""How long the last export may delay the end of the daemon."""
_PATH = "/v1/traces"


class Kind(Enum):
    """The kind of a span; values are OpenTelemetry's names."""

    CONSUMER = "CONSUMER"
    CLIENT = "CLIENT"


class _OtelContext(Protocol):
    trace_id: int
    span_id: int
    trace_flags: int


class _OtelSpan(Protocol):
    def get_span_context(self) -> _OtelContext: ...
    def set_attributes(self, attributes: Attributes) -> None: ...
    def set_status(self, status: object, description: str | None = None) -> None: ...
    def end(self) -> None: ...


class _OtelTracer(Protocol):
    def start_span(self, name: str, **options: object) -> _OtelSpan: ...


class _Provider(Protocol):
    def get_tracer(self, name: str, version: str) -> _OtelTracer: ...
    def add_span_processor(self, processor: object) -> None: ...
    def shutdown(self) -> None: ...


class _Exporter(Protocol):
    def export(self, spans: Sequence[object]) -> Enum: ...
    def shutdown(self) -> None: ...


class Span:
    """A span in progress; it is exported when it has ended."""

    def __init__(self, span: _OtelSpan, error: object) -> None:
        self._span = span
        self._error = error
        context = span.get_span_context()
        self.context = TraceContext(
            f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags)
        )

    @property
    def traceparent(self) -> str:
        """Return its place in the trace, for spans that follow from it."""
        return self.context.traceparent

    def end(self, attributes: Attributes, *, error: str | None = None) -> None:
        """End it; `error` is one of few words, never text of an event."""
        self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_attributes({"error.type": error})
            self._span.set_status(self._error, error)
        self._span.end()


class Spans:
    """Begins spans and exports them from a thread; no method waits or raises."""

    def __init__(
        self,
        provider: _Provider,
        exporter: _WatchedExporter,
        api: ModuleType,
        no_context: Callable[[], object],
    ) -> None:
        self._provider = provider
        self._exporter = exporter
        self._api = api
        self._no_context = no_context
        self._tracer = provider.get_tracer("notifier", version("notifier"))

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: str | None,
        state: str | None = None,
        links: Iterable[str] = (),
        started_ns: int | None = None,
    ) -> Span:
        """Begin a span.

        Args:
            name: One of few names.
            kind: Its role in the trace.
            attributes: The attributes known now; no data of an event.
            parent: The traceparent to continue; None: begin a trace.
            state: The tracestate of the parent.
            links: The traceparents of linked traces.
            started_ns: When it began, nanoseconds since 1970; None: now.
        """
        api = self._api
        context = self._no_context()
        remote = self._remote(parent, state)
        if remote is not None:
            context = api.set_span_in_context(api.NonRecordingSpan(remote), context)
        others = (self._remote(link, None) for link in links)
        span = self._tracer.start_span(
            name,
            context=context,
            kind=api.SpanKind[kind.value],
            attributes=attributes,
            links=[api.Link(other) for other in others if other is not None],
            start_time=started_ns,
        )
        return Span(span, api.StatusCode.ERROR)

    def watch(self, report: Callable[[str | None], object]) -> None:
        """Call `report` with the reason when spans are lost, and with None later."""
        loop = asyncio.get_running_loop()

        def forward(reason: str | None) -> None:
            with suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(report, reason)

        self._exporter.report = forward

    async def close(self) -> None:
        """Export the remaining spans, for at most 3 s."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            try:
                self._provider.shutdown()
            finally:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(done.set)

        # Not the loop's executor: Python would wait for its threads at exit.
        threading.Thread(target=shut_down, name="flush spans", daemon=True).start()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            log.warning(
                "spans_left", reason="the collector took too long", seconds=_FLUSH_SECONDS
            )

    def _remote(self, traceparent: str | None, state: str | None) -> object | None:
        context = parse_traceparent(traceparent) if traceparent else None
        if context is None:
            return None
        api = self._api
        remote: object = api.SpanContext(
            int(context.trace_id, 16),
            int(context.span_id, 16),
            is_remote=True,
            trace_flags=api.TraceFlags(context.flags),
            trace_state=api.TraceState.from_header([state]) if state else None,
        )
        return remote


class _WatchedExporter:
    """Counts the failures of an exporter, and reports the first of each row."""

    def __init__(self, exporter: _Exporter, success: Enum, where: str) -> None:
        self._exporter = exporter
        self._success = success
        self._where = where
        self._failing = False
        self.report: Callable[[str | None], None] = lambda _: None

    def export(self, spans: Sequence[object]) -> Enum:
        """Export a batch; called in the processor's thread."""
        result = self._exporter.export(spans)
        exported = result is self._success
        metrics.SPANS.labels("exported" if exported else "lost").inc(len(spans))
        if exported == self._failing:
            self._failing = not exported
            if exported:
                log.info("spans_exported_again", collector=self._where)
                self.report(None)
            else:
                reason = f"the collector at {self._where} does not accept spans"
                log.warning(
                    "spans_lost",
                    collector=self._where,
                    fix="check tracing.endpoint and the collector; deliveries continue",
                )
                self.report(f"{reason}; check tracing.endpoint, deliveries continue")
        return result

    def shutdown(self) -> None:
        """Stop retries."""
        self._exporter.shutdown()


def open_spans(settings: TracingSettings, *, instance: str) -> Spans | None:
    """Return the maker of spans, None if tracing is off.

    The environment variables of OpenTelemetry (OTEL_…) apply; tracing.endpoint overrides them.

    Raises:
        ConfigError: The packages are not installed, or OpenTelemetry cannot use its settings.
    """
    if not settings.enabled:
        return None
    check_installed(settings)
    try:
        return _open(settings, instance)
    except ValueError as exc:
        raise ConfigError(
            f"tracing: OpenTelemetry cannot use its settings ({type(exc).__name__}); see the OTEL_… variables"
        ) from None


def check_installed(settings: TracingSettings) -> None:
    """Raise ConfigError when tracing is on and OpenTelemetry is not installed."""
    if not settings.enabled:
        return
    try:
        for package in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http"):
            import_module(package)
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("opentelemetry"):
            raise
        raise ConfigError(
            f"tracing.enabled: OpenTelemetry is not installed; run: {_pip_install()}"
        ) from None


def _pip_install() -> str:
    # Not the extra of notifier: PyPI has another project of this name.
    return f"{shlex.quote(sys.executable)} -m pip install {' '.join(PACKAGES)}"


def _open(settings: TracingSettings, instance: str) -> Spans | None:
    # By name: OpenTelemetry may be missing, also for the type checker.
    trace = import_module("opentelemetry.trace")
    context = import_module("opentelemetry.context")
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    resources = import_module("opentelemetry.sdk.resources")
    sdk = import_module("opentelemetry.sdk.trace")
    export = import_module("opentelemetry.sdk.trace.export")
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        log.info("tracing_disabled", reason="OTEL_SDK_DISABLED is true")
        return None
    # It logs each failed attempt; _WatchedExporter logs the first.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    endpoint = settings.endpoint and settings.endpoint.removesuffix(_PATH) + _PATH
    exporter: _Exporter = otlp.OTLPSpanExporter(endpoint=endpoint or None)
    watched = _WatchedExporter(exporter, export.SpanExportResult.SUCCESS, _collector(endpoint))
    about = {"service.version": version("notifier"), "service.instance.id": instance}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        about["service.name"] = "notifier"
    provider: _Provider = sdk.TracerProvider(
        resource=resources.Resource.create(about), shutdown_on_exit=False
    )
    # Its queue is bounded; if it is full, it drops the oldest spans and logs that.
    provider.add_span_processor(export.BatchSpanProcessor(watched))
    return Spans(provider, watched, trace, context.Context)


def _collector(endpoint: str) -> str:
    """Return only the host of the collector."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    address = endpoint or next((os.environ[name] for name in names if os.environ.get(name)), "")
    return urlsplit(address).hostname or "localhost"
