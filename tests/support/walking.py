"""Run a daemon once for each await of its loops, raise there, and judge.

    python -m tests.support.walking REDIS_URL DATABASE_URL [PART/PARTS | NAME]

NAME is the beginning of points such as `stages.delivery:`.

The modules are compiled with a hook around the operand of each `await` and `async with`, before anything of notifier is imported.
Writes one JSON object a line: for each point whether it was reached, and its faults (none, if the daemon is right).
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PACKAGE = Path(__file__).parents[2] / "notifier"
WALKED = (
    "notifier.pipeline.",
    "notifier.escalation.action_recorder",
    "notifier.escalation.scheduler",
    "notifier.daemon.",
    "notifier.broker.leases",
    "notifier.teams.sender",
)
"""Where each await is a point."""
CHANNELS = ("sre", "devops", "pmo")
_SECONDS = 15.0
"""For whatever is waited for: much longer than it takes, so that only what never comes is missed."""


class WalkedError(RuntimeError):
    """What nobody foresaw."""


@dataclass
class Walk:
    """Where the next exception is raised."""

    armed: str = ""
    after: bool = False
    """Raise once what is awaited has happened, not in its place."""
    fired: bool = False
    points: list[str] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)

    def arm(self, point: str, *, after: bool) -> None:
        self.armed, self.after, self.fired = point, after, False

    def here(self, point: str, value: Any) -> Any:
        """Wrap the operand of `async with` and `async for`."""
        self.reached.add(point)
        if point == self.armed and not self.fired:
            self.fired = True
            raise WalkedError
        return value

    async def point(self, point: str, awaitable: Any) -> Any:
        """Wrap the operand of `await`."""
        self.reached.add(point)
        armed = point == self.armed and not self.fired
        if armed and not self.after:
            self.fired = True
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise WalkedError
        result = await awaitable
        if armed and not self.fired:
            self.fired = True
            raise WalkedError
        return result


class _Hooks(ast.NodeTransformer):
    def __init__(self, module: str, walk: Walk) -> None:
        self._module = module.removeprefix("notifier.")
        self._walk = walk

    def visit_Await(self, node: ast.Await) -> ast.Await:
        self.generic_visit(node)
        node.value = self._hooked("__walk_point__", node.value, node)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AsyncWith:
        self.generic_visit(node)
        for item in node.items:
            item.context_expr = self._hooked(
                "__walk_here__", item.context_expr, item.context_expr
            )
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AsyncFor:
        self.generic_visit(node)
        node.iter = self._hooked("__walk_here__", node.iter, node.iter)
        return node

    def _hooked(self, hook: str, value: ast.expr, at: ast.AST) -> ast.expr:
        name = f"{self._module}:{at.lineno}:{at.col_offset}"  # type: ignore[attr-defined]
        self._walk.points.append(name)
        call = ast.Call(ast.Name(hook, ast.Load()), [ast.Constant(name), value], [])
        return ast.fix_missing_locations(ast.copy_location(call, value))


class _Loader(importlib.machinery.SourceFileLoader):
    walk: Walk

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = _Hooks(fullname, self.walk).visit(ast.parse(self.get_data(path)))
        code = compile(tree, path, "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(WALKED):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if (
            spec is not None
            and spec.origin is not None
            and spec.submodule_search_locations is None
        ):
            spec.loader = loader = _Loader(fullname, spec.origin)
            loader.walk = self._walk
        return spec


def installed() -> Walk:
    """Hook all later imports of what is walked."""
    assert not any(name.startswith("notifier.pipeline") for name in sys.modules)
    walk = Walk()
    builtins.__walk_point__ = walk.point  # type: ignore[attr-defined]
    builtins.__walk_here__ = walk.here  # type: ignore[attr-defined]
    sys.meta_path.insert(0, _Finder(walk))
    return walk


def _chosen(points: Iterable[str], which: str) -> list[str]:
    names = sorted(set(points))
    part, _, parts = which.partition("/")
    if not parts:
        return [name for name in names if name.startswith(which)]
    return names[int(part) :: int(parts)]


async def _main(walk: Walk, redis_url: str, database_url: str, which: str) -> None:
    from tests.support.receiver import WebhookReceiver
    from tests.support.walked_daemon import Stage

    async with WebhookReceiver.listening() as receiver:
        stage = Stage(walk, redis_url, database_url, receiver)
        await stage.run("", after=False)
        for name in _chosen(walk.points, which):
            for after in (False, True):
                began = time.monotonic()
                wrong = await stage.run(name, after=after)
                line = {
                    "point": name, "after": after, "reached": walk.fired, "wrong": wrong,
                    "seconds": round(time.monotonic() - began, 2),
                }  # fmt: skip
                print(json.dumps(line), flush=True)
                if not walk.fired:
                    break


if __name__ == "__main__":
    which = sys.argv[3] if len(sys.argv) > 3 else ""
    asyncio.run(_main(installed(), sys.argv[1], sys.argv[2], which))
