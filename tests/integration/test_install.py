"""`make install` and `make uninstall` into a folder, with a small wheel."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """import os, sys
def main():
    names = ("REDIS_URL", "DATABASE_URL", "NOTIFIER_CONFIG", "CREDENTIALS_DIRECTORY", "LOGNAME")
    print(VERSION, *sys.argv[1:], *(f"{name}={os.environ.get(name)}" for name in names), sep="|")
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def wheel(folder: Path, version: str) -> Path:
    """Return a wheel called notifier that needs nothing else."""
    path = folder / f"notifier-{version}-py3-none-any.whl"
    if path.exists():
        return path
    info = f"notifier-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stub_notifier.py", f"VERSION = {version!r}\n{PROGRAM}")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: notifier\nVersion: {version}\n"
            "Provides-Extra: otel\nRequires-Dist: stub-spans; extra == 'otel'\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            f"{info}/entry_points.txt", "[console_scripts]\nnotifier = stub_notifier:main\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


class Machine:
    """A folder in place of the root of a machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.home = self.root / "opt" / "notifier"
        self.etc = self.root / "etc" / "notifier"
        self.units = self.root / "usr" / "local" / "lib" / "systemd" / "system"

    def make(self, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["make", "-s", f"DESTDIR={self.root}", f"PYTHON={sys.executable}", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1"},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, version: str, *arguments: str) -> str:
        return self.make("install", f"WHEEL={wheel(self.folder, version)}", *arguments)

    def current(self) -> str:
        return os.readlink(self.home / "current").removeprefix("versions/").split("-")[0]

    def versions(self) -> set[str]:
        return {path.name.split("-")[0] for path in (self.home / "versions").iterdir()}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One installation, which takes seconds; tests get copies of it."""
    machine = Machine(tmp_path_factory.mktemp("installed"))
    machine.install("1.0.0")
    return machine.folder


@pytest.fixture
def machine(installed: Path, tmp_path: Path) -> Machine:
    shutil.copytree(installed, tmp_path / "machine", symlinks=True)
    return Machine(tmp_path / "machine")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_install_lays_out_program_units_and_closed_folders_for_secrets(machine: Machine):
    assert machine.current() == "1.0.0"
    script = (machine.home / "current" / "bin" / "notifier").read_text()
    assert script.startswith("#!/opt/notifier/versions/1.0.0-")
    assert str(machine.root) not in script
    assert mode(machine.etc) == 0o755
    assert mode(machine.etc / "notifier.toml") == 0o644
    assert mode(machine.etc / "environment") == 0o600
    assert mode(machine.etc / "credentials") == 0o700
    service = (machine.units / "notifier.service").read_text()
    for line in service.splitlines():
        if line.startswith("Documentation=file:"):
            page = line.removeprefix("Documentation=file:")
            assert (machine.root / page.lstrip("/")).exists()
    assert {path.name for path in machine.units.iterdir()} == {
        path.name for path in (ROOT / "systemd").iterdir()
    }


@pytest.mark.slow  # installs again, which takes seconds
def test_installing_again_keeps_what_the_operator_changed(machine: Machine):
    (machine.etc / "notifier.toml").write_text("[links]\n")
    (machine.etc / "environment").write_text("REDIS_URL=redis://mine\n")
    (machine.etc / "credentials" / "webhook_sre").write_text("placeholder")
    (machine.units / "notifier.service").write_text("# mine\n")

    assert "there already" in machine.install("1.0.0")
    said = machine.install("1.1.0")

    assert (machine.etc / "notifier.toml").read_text() == "[links]\n"
    assert (machine.etc / "environment").read_text() == "REDIS_URL=redis://mine\n"
    assert (machine.etc / "credentials" / "webhook_sre").exists()
    assert (machine.units / "notifier.service").read_text() == "# mine\n"
    assert "notifier.service.new" in said
    assert "ExecStart=" in (machine.units / "notifier.service.new").read_text()
    assert not (machine.units / "notifier-migrate.service.new").exists()


@pytest.mark.slow  # installs again, which takes seconds
def test_versions_stand_side_by_side_and_switching_is_one_step(machine: Machine):
    first = machine.home / "versions" / os.readlink(machine.home / "current").split("/")[1]
    oldest = machine.home / "versions" / "0.9.0-00000000"
    shutil.copytree(first, oldest, symlinks=True)
    os.utime(oldest, (1, 1))
    machine.install("1.1.0", "KEEP=2")
    assert machine.current() == "1.1.0"
    assert machine.versions() == {"1.0.0", "1.1.0"}

    switch = str(machine.home / "switch")
    listed = subprocess.run([switch], capture_output=True, text=True, check=True).stdout
    older = next(line.split()[-1] for line in listed.splitlines() if "1.0.0" in line)
    subprocess.run([switch, older], check=True, capture_output=True)

    assert machine.current() == "1.0.0"
    missing = subprocess.run([switch, "0.9"], capture_output=True, text=True)
    assert missing.returncode == 1
    assert older in missing.stderr
    assert machine.current() == "1.0.0"


@pytest.mark.slow  # installs again, which takes seconds
def test_another_prefix_goes_into_units_and_command(machine: Machine):
    shutil.rmtree(machine.root)
    machine.install("1.0.0", "PREFIX=/srv/notifier", "UNITDIR=/lib/units", "BINDIR=/bin")

    service = (machine.root / "lib" / "units" / "notifier.service").read_text()
    assert "ExecStart=/srv/notifier/current/bin/notifier run" in service
    assert "/opt/notifier" not in service
    assert "/srv/notifier/current/bin" in (machine.root / "bin" / "notifier").read_text()
    assert (machine.root / "srv/notifier/current/bin/notifier").exists()


@pytest.mark.parametrize("prefix", ["/usr", "/", "opt", "/opt/no tifier"])
def test_a_prefix_that_is_not_a_folder_of_its_own_is_refused(machine: Machine, prefix: str):
    assert "PREFIX=" in machine.make(
        "install", f"WHEEL={wheel(machine.folder, '1.0.0')}", f"PREFIX={prefix}", fails=True
    )


def stub_spans(folder: Path) -> str:
    """Make the package of the extra `otel`; return the folder for pip."""
    info = "stub_spans-1.0.dist-info"
    with zipfile.ZipFile(folder / "stub_spans-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("stub_spans.py", "")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: stub-spans\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return str(folder)


@pytest.mark.slow  # installs again, which takes seconds
def test_an_extra_is_installed_with_the_program_and_again_with_later_versions(machine: Machine):
    links = f"PIP_FIND_LINKS={stub_spans(machine.folder)}"

    def has_spans() -> bool:
        return any((machine.home / "current").glob("lib/python*/site-packages/stub_spans.py"))

    assert not has_spans()
    machine.install("1.0.0", "EXTRAS=otel", links)
    assert has_spans()
    machine.install("1.1.0", links)
    assert has_spans()
    machine.install("1.1.0", "EXTRAS=", links)
    assert not has_spans()
    assert "names from pyproject.toml" in machine.make(
        "install", "EXTRAS=a b", f"WHEEL={wheel(machine.folder, '1.0.0')}", fails=True
    )


def test_a_command_of_somebody_else_is_not_overwritten(machine: Machine):
    other = machine.root / "usr" / "local" / "bin" / "notifier"
    other.write_text("#!/bin/sh\n")

    said = machine.install("1.0.0")

    assert other.read_text() == "#!/bin/sh\n"
    assert "/opt/notifier/notifier" in said
    assert (machine.home / "notifier").exists()


def test_uninstall_keeps_settings_and_secrets_unless_they_are_to_go_too(machine: Machine):
    (machine.etc / "credentials" / "webhook_sre").write_text("placeholder")

    machine.make("uninstall")
    assert not machine.home.exists()
    assert list(machine.units.iterdir()) == []
    assert not (machine.root / "usr" / "local" / "bin" / "notifier").exists()
    assert (machine.etc / "credentials" / "webhook_sre").exists()

    machine.make("uninstall", "PURGE=1")
    assert not machine.etc.exists()


def test_the_command_reads_the_settings_of_the_service_as_systemd_does(machine: Machine):
    command = machine.root / "usr" / "local" / "bin" / "notifier"
    # On a machine these are in their places; here they are in a folder.
    text = command.read_text()
    text = text.replace("/etc/notifier", str(machine.etc))
    stub = machine.folder / "program"
    stub.write_text(
        f"#!{sys.executable}\nVERSION = '1'\n{PROGRAM}main()\n",
    )
    stub.chmod(0o755)
    command.write_text(text.replace("/opt/notifier/current/bin/notifier", str(stub)))
    (machine.etc / "environment").write_text(
        "# a comment\n\nREDIS_URL=redis://:a$b&c@h/0?x=1\nDATABASE_URL='postgresql://h/d?a=1&b=2'"
    )

    done = subprocess.run(
        [str(command), "dlq", "list", "a b"],
        env={"PATH": os.environ["PATH"], "SUDO_USER": "sara"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip().split("|")[1:] == [
        "dlq",
        "list",
        "a b",
        "REDIS_URL=redis://:a$b&c@h/0?x=1",
        "DATABASE_URL=postgresql://h/d?a=1&b=2",
        f"NOTIFIER_CONFIG={machine.etc}/notifier.toml",
        f"CREDENTIALS_DIRECTORY={machine.etc}/credentials",
        "LOGNAME=sara",
    ]
