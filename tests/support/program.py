"""A `notifier` for shells: a file on PATH that forks the program."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import processes

_CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    words = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()])
    socket.send_fds(server, [words.encode() + b"\\n"], [0, 1, 2])
    code = int(server.recv(16) or b"1")
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def program(file: Path, module: str = "notifier") -> Iterator[None]:
    """Make `file` act as `python -m MODULE` until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="notifier-"))  # the path of a socket must be short
    client = folder / "client.py"
    client.write_text(_CLIENT.format(address=str(folder / "socket")))
    file.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -ISE {shlex.quote(str(client))} "$@"\n'
    )
    file.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, module), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    shutil.rmtree(folder)


def _accept(listener: socket.socket, module: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, module), daemon=True).start()


def _serve(connection: socket.socket, module: str) -> None:
    with connection:
        data, descriptors, _, _ = socket.recv_fds(connection, 65_536, 3)
        while not data.endswith(b"\n"):
            data += connection.recv(65_536)
        arguments, env, folder = json.loads(data)
        stdin, output, errors = (open(number, "r+b", buffering=0, closefd=True) for number in descriptors)  # noqa: SIM115  # fmt: skip
        with stdin, output, errors:
            process = processes.start(
                *arguments,
                program=module,
                env=env,
                folder=folder,
                stdin=stdin,
                output=output,
                errors=errors,
            )
        connection.setblocking(False)
        while process.returncode is None:
            if _left(connection):
                process.kill()
            time.sleep(0.005)
        if not _left(connection):
            connection.sendall(str(process.returncode).encode())


def _left(connection: socket.socket) -> bool:
    """Tell whether the client has ended before the program."""
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
