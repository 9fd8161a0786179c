"""Set up structlog: one JSON object or one console line per log entry, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from notifier.config import LoggingSettings


def configure(settings: LoggingSettings) -> None:
    """Make every later log line follow the settings."""
    form: Literal["json", "console"]
    if settings.format == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    else:
        form = settings.format
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.level.upper())
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; their warnings belong on the same stream.
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s"
    )
