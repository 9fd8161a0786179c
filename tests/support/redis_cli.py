"""The few commands of redis-cli that documents and tests need.

The embedded server comes without redis-cli.

`python -m tests.support.redis_cli [-u URL | -p PORT | -s SOCKET] [--rdb FILE] COMMAND…` prints a reply as redis-cli prints it into a pipe.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import redis


def redis_cli() -> str:
    """Return shell words that call redis-cli, or this module without it."""
    for name in ("redis-cli", "valkey-cli"):
        if found := shutil.which(name):
            return shlex.quote(found)
    return f"{shlex.quote(sys.executable)} {shlex.quote(__file__)}"


def _lines(reply: Any) -> list[str]:
    if isinstance(reply, list | tuple):
        return [line for each in reply for line in _lines(each)]
    if isinstance(reply, dict):
        return [line for pair in reply.items() for line in _lines(pair)]
    return [reply.decode() if isinstance(reply, bytes) else str(reply)]


def _copy(client: redis.Redis, file: Path) -> None:
    """Fetch the data set as a new replica would, by SYNC."""
    connection = client.connection_pool.get_connection()
    sock = connection._sock  # type: ignore[union-attr]
    sock.sendall(b"SYNC\r\n")
    stream = sock.makefile("rb")
    while not (header := stream.readline().strip()):
        pass  # the server keeps the connection open with empty lines until the file is ready
    if header.startswith(b"$EOF:"):
        mark, data = header[5:], b""
        while not data.endswith(mark):
            data += stream.read1(65_536)
        data = data.removesuffix(mark)
    else:
        data = stream.read(int(header[1:]))
    file.write_bytes(data)
    connection.disconnect()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-u", dest="url")
    parser.add_argument("-p", dest="port", type=int, default=6379)
    parser.add_argument("-s", dest="socket")
    parser.add_argument("--rdb", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    url = given.url or f"redis://127.0.0.1:{given.port}"
    client = (
        redis.Redis(unix_socket_path=given.socket, protocol=2)
        if given.socket
        else redis.Redis.from_url(url, protocol=2)
    )
    client.response_callbacks.clear()
    try:
        if given.rdb:
            _copy(client, given.rdb)
        else:
            for line in _lines(client.execute_command(*given.command)):
                print(line)
    except redis.ConnectionError as exc:
        if [word.upper() for word in given.command] != ["SHUTDOWN"]:
            sys.exit(f"Could not connect to Redis: {exc}")
    except redis.ResponseError as exc:
        print(f"ERR {exc}")  # redis-cli ends well here too


if __name__ == "__main__":
    main()
