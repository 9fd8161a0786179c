"""The settings: config.toml and the environment as one checked model.

The sections are in `models`, `escalation` and `listeners`.
"""

from notifier.config.load import load_config
from notifier.config.models import Config
from notifier.config.urls import mask_url

__all__ = ["Config", "load_config", "mask_url"]
