"""The daemon: runs the stages until it is stopped, then drains."""

from notifier.daemon.app import run

__all__ = ["run"]
