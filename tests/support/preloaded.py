"""Import all of notifier in the fork server of the tests."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import notifier

for module in pkgutil.walk_packages(notifier.__path__, "notifier."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
gc.freeze()  # so that a collection in a child does not copy the pages of what all share
