"""Check cards, routes, channels and escalation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from notifier.cards.check.folder import check_folder
from notifier.cards.library import card_folders, layered, load_cards, missing_cards
from notifier.config import Config
from notifier.config.secrets import Secrets, State
from notifier.errors import CardError
from notifier.events.entry import Priority
from notifier.telemetry.findings import Finding, Level, count, fault, fault_of, ok, warning

CARDS = "cards"
_FIX_CARDS = "fix it, then: notifier cards check"
ROUTES = "routes"
CHANNELS = "channels"
ESCALATION = "escalation"
_OWN = "notifier."


def check_cards(config: Config) -> list[Finding]:
    """Return the findings of a short `notifier cards check`."""
    folders = card_folders(config)
    folder = folders[-1]
    if not folder.is_dir():
        what = f"there is no folder {folder}, so the daemon does not start"
        return [fault(CARDS, what, "correct cards.directory")]
    base = folders[0] if len(folders) > 1 else None
    findings = [
        replace(each, fix=each.fix or _FIX_CARDS)
        for each in check_folder(folder, config, base=base, thorough=False)
    ]
    if count(findings, Level.FAULT):
        return findings
    try:
        cards = load_cards(*folders)
    except CardError as exc:
        return [*findings, fault_of(CARDS, str(exc), otherwise=_FIX_CARDS)]
    if base is not None and not layered([folder], "*.json"):
        what = f"{folder} holds no cards, so the shipped ones are used"
        findings.append(warning(CARDS, what, "correct cards.directory, or: notifier cards new"))
    return [*findings, ok(CARDS, f"{len(cards.templates)} cards can be rendered")]


def check_routes(config: Config, cards: Collection[str]) -> list[Finding]:
    """Return routes without channel or card, and channels without route."""
    nowhere = sorted(
        name
        for name, route in config.routes.items()
        if not route.stakeholders and not name.startswith(_OWN)
    )
    # The check of the cards reports a folder without any.
    lacking = missing_cards(config, cards) if cards else []
    found = [fault(ROUTES, f"{name}: {what}", fix) for name, what, fix in lacking]
    found += [
        warning(
            ROUTES,
            f"{name} has no channel: an event without its own stakeholders becomes a dead letter (unroutable)",
            f'name some under [routes]: "{name}" = {{ stakeholders = ["sre"], … }}',
        )
        for name in nowhere
    ]
    used = {channel for route in config.routes.values() for channel in route.stakeholders}
    used |= {channel for chain in _chains(config).values() for channel in chain}
    found += [
        warning(
            ROUTES,
            f"no route has the channel {channel}: only events that name it go there",
            "name it in a route, or remove it from [channels]",
        )
        for channel in config.channels
        if channel not in used
    ]
    many = f"{len(config.routes)} routes lead to {len(used)} channels"
    return found or [ok(ROUTES, many)]


def check_channels(config: Config, secrets: Secrets) -> list[Finding]:
    """Return channels without usable webhook, and how many types they lose."""
    found = []
    for channel, webhook in secrets.found.items():
        if webhook.state is State.CONFIGURED:
            continue
        types = sum(channel in route.stakeholders for route in config.routes.values())
        lost = (
            f"; {types} event {'type goes there and becomes' if types == 1 else 'types go there and become'} dead letters (not_configured)"
            if types
            else ""
        )
        fix = f"put the workflow's URL into {webhook.where}"
        if webhook.state is State.PLACEHOLDER:
            found.append(
                warning(CHANNELS, f"the webhook of {channel} is a placeholder{lost}", fix)
            )
        elif webhook.state is State.UNUSABLE:
            found.append(fault_of(CHANNELS, webhook.fault))
        else:
            judged = fault if types else warning
            found.append(judged(CHANNELS, f"{channel} has no webhook{lost}", fix))
    return found or [ok(CHANNELS, f"all {len(secrets.found)} have a webhook")]


def check_escalation(config: Config, secrets: Secrets) -> list[Finding]:
    """Return faults that stop escalations from arriving or from ending."""
    chains = _chains(config)
    if not chains:
        return [ok(ESCALATION, "switched off")]
    found = []
    for channel in dict.fromkeys(name for chain in chains.values() for name in chain):
        state = secrets.found[channel].state
        if state is State.CONFIGURED:
            continue
        priorities = [name for name, chain in chains.items() if channel in chain]
        escalate = "escalates" if len(priorities) == 1 else "escalate"
        state_in_words = "a placeholder" if state is State.PLACEHOLDER else state
        what = f"{', '.join(priorities)} {escalate} to {channel}, whose webhook is {state_in_words}"
        fix = f"set TEAMS_WEBHOOK_{channel.upper()}, or take {channel} out of the chains under [escalation]"
        judged = warning if state is State.PLACEHOLDER else fault
        found.append(judged(ESCALATION, what, fix))
    if not config.public.url or secrets.keys is None:
        what = "cards have no action links, so nobody can acknowledge and each chain runs to its end"
        fix = "set public.url, public.bind and TEAMS_HMAC_SECRET_KEY; or escalation.enabled = false"
        found.append(warning(ESCALATION, what, fix))
    return found or [ok(ESCALATION, f"{len(chains)} priorities have a chain")]


def _chains(config: Config) -> Mapping[str, tuple[str, ...]]:
    if not config.escalation.enabled:
        return {}
    chains = {
        priority.value: getattr(config.escalation, priority.value, None)
        for priority in Priority
    }
    return {
        name: rule.chain for name, rule in chains.items() if rule is not None and rule.chain
    }
