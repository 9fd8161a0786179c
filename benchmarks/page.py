"""docs/explanation/benchmarks.md, made from the results, so that the two cannot differ; pure."""

from __future__ import annotations

from benchmarks import tables
from benchmarks.targets import Results

_HEAD = """# What it costs

<!-- Made by `make bench ARGS=--write` from benchmarks/results/bench.json; do not edit. -->

`make bench` measures the daemon beside the least code that could do the job and beside what people would use instead, in one run whose
rounds go from one contender to the next; medians count. `make bench ARGS='--only throughput --events 5000'` measures parts of it; `--help`
lists them.

**The work:** an event of {event_bytes} bytes becomes a claim card of about 2 KB, which is posted to one of 8 webhooks on loopback; a row goes into Postgres, and
the event is acknowledged. The events wait when the contender begins. Redis writes its log every second (AOF everysec), Postgres runs with its
own defaults (fsync on).

**Processor time** is user and system time of all processes of the contender, divided by the notifications; Redis, Postgres and the receiver are
not in it. It says more than deliveries per second on a machine that has other work to do.

**The receiver** is a process of its own, a bare protocol without a framework. It takes {receiver} posts a second at {receiver_us} µs each, so it
holds nobody back.

Last run: {at}, {cpus} CPUs ({machine}), load {load} when it began; Python {python}, Redis {redis}, Postgres {postgres}.
"""


def page(results: Results) -> str:
    """Return the page for a whole run."""
    head = _HEAD.format(
        event_bytes=results["event_bytes"],
        receiver=f"{results['receiver']['per_second']:,}",
        receiver_us=results["receiver"]["cpu_us"],
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
                f"The first card is for an event that waits. notifier's /readyz answers 200 after {found.get('notifier_ready_s', 0):.2f} s, for which it "
                f"needs {found.get('notifier_ready_cpu_s', 0):.2f} s of processor time."
            )
        case "backlog":
            return (
                "notifier alone, until all that waited is delivered, recorded and acknowledged."
            )
        case "crash":
            return (
                f"All processes of a contender are killed when a third of {found['events']:,} events is posted, and started again at once. notifier takes over "
                "what a dead process had in hand when its lease (15 s) has run out. What the others had in hand is not lost but waits: FastStream's for a consumer that "
                "claims, taskiq's for 10 minutes (idle_timeout), Celery's for an hour (visibility_timeout); those are their defaults."
            )
    return ""


def _more(results: Results) -> str:
    lines = []
    if "replay" in results:
        replay = results["replay"]
        lines.append(
            f"`notifier dlq replay --all` puts {replay['replayed_per_second']:,} dead letters a second back to work ({replay['letters']:,} of them, the command's "
            f"start included)."
        )
    if "escalation" in results:
        part = results["escalation"]
        lines.append(
            f"Escalation: {part['cpu_on_us']:.0f} µs of daemon and Postgres per notification with it, {part['cpu_off_us']:.0f} µs without. Behind {part['waiting']:,} MEDIUM "
            f"events that wait, a CRITICAL one escalates {part['late_behind_waiting_s']:.1f} s after it is due, behind as many that are all due {part['late_behind_due_s']:.1f} s "
            f"(the scheduler looks every 5 s); {part['steps_per_second']} due events escalate a second."
        )
    if "two" in results:
        two = results["two"]
        lines.append(
            f"Two processes deliver {two['two_per_second']:.0f} notifications a second, one {two['one_per_second']:.0f}: {two['ratio']} times as many, on "
            f"{two['cpus']} cores that they share with Redis, Postgres and the receiver."
        )
    return "## Replay, escalation, and a second process\n\n" + " ".join(lines) if lines else ""


def _contenders(results: Results) -> str:
    lines = [f"- **{results['titles'][name]}**: {how}." for name, how in results["how"].items()]
    settings = (
        "notifier runs with its settings as shipped: escalation, signing and masking are on."
        if "escalation" in results
        else "Escalation was switched off for notifier in this run."
    )
    note = (
        f"{settings} The peers draw the floor's string card and log nothing for "
        "a task that succeeds; notifier draws its template, signs it, and writes its line. arq is not among them: it needs redis-py below 6."
    )
    return "\n".join(lines) + "\n\n" + note
