"""Faults on demand: how the local Teams fails, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.errors import ExitCode, SandboxError

KINDS = ("429", "500", "timeout", "text429")


class FaultsError(SandboxError):
    """Faults that are written wrong; the message says what is expected."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests, from 0 to 1, by kind of fault."""

    shares: tuple[tuple[str, float], ...] = ()

    def pick(self, chance: float) -> str | None:
        """Return the fault for a number drawn evenly from 0 to 1, None for none."""
        for kind, share in self.shares:
            if chance < share:
                return kind
            chance -= share
        return None


def parse_faults(text: str) -> Faults:
    """Read `429:0.1,500:0.05,timeout:0.02`; raises FaultsError with the form expected."""
    shares: list[tuple[str, float]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, number = part.partition(":")
        try:
            share = float(number)
        except ValueError:
            share = -1
        if kind not in KINDS:
            raise FaultsError(
                f"--faults {part}: there is no fault {kind}; kinds are {', '.join(KINDS)}, written as 429:0.1"
            )
        if not 0 <= share <= 1:
            raise FaultsError(
                f"--faults {part}: a share is a number from 0 to 1, such as {kind}:0.1 for one request in ten"
            )
        shares.append((kind, share))
    if sum(share for _, share in shares) > 1:
        raise FaultsError(f"--faults {text}: the shares add up to more than 1")
    return Faults(tuple(shares))
