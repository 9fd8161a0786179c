"""Processes of the tests, forked from a server that has imported all.

An import takes more processor time than most tests do: a daemon is ready in 0.2 s from here and in 2 s without. Everything else is as in a start from
a shell: a process of its own with its own environment, files and signals. With TRUE_STARTS=1 in the environment all processes start from nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Protocol

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.support.preloaded"])
TRUE_STARTS = bool(os.environ.get("TRUE_STARTS"))


class Process(Protocol):
    """A process that may still run; all of it may be called after its end."""

    pid: int

    @property
    def returncode(self) -> int | None: ...

    def send_signal(self, number: int) -> None: ...

    def kill(self) -> None: ...

    def terminate(self) -> None: ...

    async def wait(self) -> int: ...


class _Started:
    """A process by its id and a way to ask for its exit code."""

    def __init__(self, pid: int, poll: Any) -> None:
        self.pid = pid
        self._poll = poll

    @property
    def returncode(self) -> int | None:
        """Return the exit code, minus the signal, or None while it runs."""
        code: int | None = self._poll()
        return code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        while (code := self.returncode) is None:
            await asyncio.sleep(0.01)
        return code


def start(
    *arguments: str,
    env: Mapping[str, str],
    output: IO[Any],
    errors: IO[Any] | None = None,
    stdin: IO[Any] | None = None,
    program: str = "notifier",
    folder: str | None = None,
) -> Process:
    """Start `python -m PROGRAM ARGUMENTS…` with exactly this environment."""
    errors = errors or output
    # Python reads PYTHONPATH and the like when it starts.
    if TRUE_STARTS or any(name.startswith("PYTHON") for name in env):
        started = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            env=env, cwd=folder, stdin=stdin or subprocess.DEVNULL, stdout=output, stderr=errors,
        )  # fmt: skip
        return _Started(started.pid, started.poll)
    with open(os.devnull, "rb") as nothing:
        streams = [
            Connection(os.dup(file.fileno())) for file in (stdin or nothing, output, errors)
        ]
        forked = _SERVER.Process(
            target=_become,
            args=(program, arguments, dict(env), folder or os.getcwd(), streams),
            daemon=True,
        )
        forked.start()
        for stream in streams:
            stream.close()
    assert forked.pid is not None
    return _Started(forked.pid, lambda: forked.exitcode)


def run(
    *arguments: str,
    env: Mapping[str, str],
    stdin: str = "",
    program: str = "notifier",
    seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m PROGRAM ARGUMENTS…` to its end, as subprocess.run does."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        given.write(stdin.encode())
        given.seek(0)
        process = start(
            *arguments,
            env=env,
            stdin=given,
            output=output,
            errors=errors,
            program=program,
        )
        code = _ended(process, seconds)
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(file.read().decode())
    if code is None:
        raise subprocess.TimeoutExpired(arguments, seconds, *said)
    return subprocess.CompletedProcess(arguments, code, *said)


def _ended(process: Process, seconds: float) -> int | None:
    """Return the exit code, or None if the process was killed."""
    deadline = time.monotonic() + seconds
    while (code := process.returncode) is None:
        if time.monotonic() > deadline:
            process.kill()
            return None
        time.sleep(0.005)
    return code


def _become(
    program: str,
    arguments: tuple[str, ...],
    env: dict[str, str],
    folder: str,
    streams: list[Connection],
) -> None:
    """Run the program in the child as if a shell had started it."""
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(Path(folder))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [program, *arguments]
    atexit._clear()  # of what the server has registered for its own end
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
