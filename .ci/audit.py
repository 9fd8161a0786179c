"""Look for known vulnerabilities in the installed packages.

pip-audit alone cannot: its exit code is 1 for both, and 0 when the service knows none of the packages (a mirror that
has only files). Exit codes here: 1 = a vulnerability, 0 = none, or not audited (said loudly on standard error).
"""

from __future__ import annotations

import json
import subprocess  # nosec B404
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS = 180
_SERVICES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))


@dataclass(frozen=True)
class Report:
    """What one service said."""

    audited: tuple[str, ...]
    skipped: tuple[str, ...]
    vulnerable: tuple[str, ...]
    """One line for each vulnerability."""


def ask(arguments: Sequence[str]) -> Report | None:
    """Run pip-audit; None when the service could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner", "off", "--timeout", "10",
               "--format", "json", *arguments]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 # nosec B603 - our own interpreter, no shell
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    report = Report(
        tuple(each["name"] for each in found if "vulns" in each),
        tuple(
            each["name"]
            for each in found
            if "skip_reason" in each and "editable" not in each["skip_reason"]
        ),
        tuple(
            f"{each['name']} {each['version']}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'no version yet'}"
            for each in found
            for vuln in each.get("vulns", ())
        ),
    )
    return report if report.audited else None


def main(arguments: Sequence[str]) -> int:
    """Ask one service after another until one answers.

    Args:
        arguments: passed to pip-audit instead of the choice of a service.
    """
    for service in (arguments,) if "--vulnerability-service" in arguments else _SERVICES:
        report = ask([*service, *(arguments if service is not arguments else ())])
        if report is None:
            continue
        for line in report.vulnerable:
            print(f"audit: VULNERABLE {line}", file=sys.stderr)
        if report.skipped:
            print(
                f"audit: NOT AUDITED, the service does not know them: {', '.join(report.skipped)}",
                file=sys.stderr,
            )
        if not report.vulnerable:
            print(f"audit: no known vulnerability in {len(report.audited)} packages")
        return 1 if report.vulnerable else 0
    print(
        "audit: NOT AUDITED. No advisory service answered (PyPI, OSV), so nothing is known of the packages.\n"
        "audit: run `make audit` where one can be reached; `pip-audit --help` tells how to name another.",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
