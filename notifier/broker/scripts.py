"""Run Lua scripts by their digest, or by their text if it is unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from redis.exceptions import NoScriptError

from notifier.broker.client import Client


@dataclass(frozen=True, slots=True)
class Script:
    """One script; raises what the driver raises."""

    name: str
    text: str
    sha: str

    @classmethod
    def read(cls, package: str, *names: str) -> Script:
        """Read the last script of a package, after the parts that it needs."""
        folder = files(package)
        text = "".join(
            folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names
        )
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(names[-1], text, sha)

    async def run(self, client: Client, keys: Sequence[str], argv: Sequence[object]) -> Any:
        """Run it; every key that it touches is in `keys`, all of one cluster slot."""
        arguments = cast("list[str]", [*keys, *argv])
        try:
            return await client.evalsha(self.sha, len(keys), *arguments)
        except NoScriptError:
            # A new master and every node of a cluster learn a script by running it once.
            return await client.eval(self.text, len(keys), *arguments)
