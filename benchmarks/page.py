"""Make docs/explanation/benchmarks.md from the results; pure."""

from __future__ import annotations

from benchmarks import tables
from benchmarks.targets import Results

_HEAD = """# Benchmarks

<!-- Made by `make bench ARGS=--write` from benchmarks/results/bench.json; do not edit. -->

`make bench` measures the daemon beside the least code that could do the job and other task queues, in alternating rounds; medians count.
`make bench ARGS='--only throughput --events 5000'` runs parts of it.

An event of {event_bytes} bytes becomes a claim card of about 2 KB, is posted to one of 8 webhooks on loopback, and gets a row in Postgres.
All events wait before the start. Redis uses AOF everysec, Postgres its defaults.
Processor time leaves out Redis, Postgres and the receiver, which accepts {receiver} posts a second.

Last run: {at}, {cpus} CPUs ({machine}), load {load} at the start; Python {python}, Redis {redis}, Postgres {postgres}.
"""


def page(results: Results) -> str:
    """Return the page for a whole run."""
    head = _HEAD.format(
        event_bytes=results["event_bytes"],
        receiver=f"{results['receiver']['per_second']:,}",
        **{name: results["machine"][name] for name in ("at", "cpus", "machine", "load", "python", "redis", "postgres")},
    )  # fmt: skip
    parts = [head, "## Targets", tables.judged(results)]
    for part, (title, table) in tables.SECTIONS.items():
        if part in results:
            parts += [f"## {title}", _words(part, results), table(results)]
    parts += [_more(results), "## The contenders", _contenders(results)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _words(part: str, results: Results) -> str:
    found = results[part]
    match part:
        case "throughput":
            return (
                f"{found['events']:,} events, {found['rounds']} rounds. Memory counts pages that processes share once.\n\n"
                "![Processor time per notification](benchmarks-cpu.svg)\n\n![Deliveries per second](benchmarks-rate.svg)"
            )
        case "latency":
            return f"From just before XADD to the arrival of the request, {found['rate']} events a second for {found['seconds']:g} s."
        case "start":
            return (
                f"notifier's /readyz answers 200 after {found.get('notifier_ready_s', 0):.2f} s, with "
                f"{found.get('notifier_ready_cpu_s', 0):.2f} s of processor time."
            )
        case "backlog":
            return "notifier alone, until every event is delivered and recorded."
        case "crash":
            return (
                f"All processes of a contender are killed when a third of {found['events']:,} events is posted, and started again at once.\n"
                "notifier claims them after its lease of 15 s.\n"
                "By default FastStream's wait for a consumer that claims, taskiq's for 10 minutes, Celery's for an hour."
            )
    return ""


def _more(results: Results) -> str:
    lines = []
    if "replay" in results:
        replay = results["replay"]
        lines.append(
            f"`notifier dlq replay --all` replays {replay['replayed_per_second']:,} dead letters a second, of {replay['letters']:,}, with the command's start."
        )
    if "escalation" in results:
        part = results["escalation"]
        lines.append(
            f"With escalation daemon and Postgres need {part['cpu_on_us']:.0f} µs per notification, without it {part['cpu_off_us']:.0f} µs.\n"
            f"While {part['waiting']:,} MEDIUM events wait, a CRITICAL one escalates {part['late_behind_waiting_s']:.1f} s after it is due.\n"
            f"While as many are due, it takes {part['late_behind_due_s']:.1f} s; {part['steps_per_second']} due events escalate a second."
        )
    if "two" in results:
        two = results["two"]
        lines.append(
            f"Two processes deliver {two['two_per_second']:.0f} notifications a second, one delivers {two['one_per_second']:.0f}: {two['ratio']} times as many.\n"
            f"They share {two['cpus']} cores with Redis, Postgres and the receiver."
        )
    return "## Replay, escalation, and a second process\n\n" + "\n".join(lines) if lines else ""


def _contenders(results: Results) -> str:
    lines = [f"- **{results['titles'][name]}**: {how}." for name, how in results["how"].items()]
    settings = (
        "notifier runs with the shipped settings: escalation, signing and masking are on."
        if "escalation" in results
        else "Escalation was switched off for notifier in this run."
    )
    note = (
        f"{settings}\n"
        "It renders its template, signs it, and writes a log line; the others use the floor's string card without a log line."
    )
    return "\n".join(lines) + "\n\n" + note
