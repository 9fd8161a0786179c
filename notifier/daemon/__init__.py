"""The daemon: wires the stages together, runs them until told to stop, and drains."""

from notifier.daemon.app import run

__all__ = ["run"]
