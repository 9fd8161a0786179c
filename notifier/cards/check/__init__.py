"""Check card templates before they are used: language, schema, what Teams takes, and how they come out with all kinds of data."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from notifier.cards.check.schema import card_faults
from notifier.cards.check.seal import Folder
from notifier.cards.check.variants import (
    COMMA_AMOUNT,
    WITH_COMMAS,
    Fields,
    read_fields,
    variants,
)
from notifier.cards.fit import posted_card
from notifier.cards.renderer import CardRenderer, Cards, card_template, checked_cards, layered
from notifier.config import Config
from notifier.errors import CardError, NotifierError, TemplateError
from notifier.events.digest import DIGEST_CARD, digest_of
from notifier.events.entry import to_event
from notifier.events.json_in import json_object
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import Notification
from notifier.events.routing import Catalogue
from notifier.templating import Template

_SHOWN_FAULTS = 10
_SHOWN_PLACES = 3
_NAME = re.compile(r"[A-Za-z_]\w*(?![\w(])")
_RENDERED = "{rendered}"
"""Stands in a message for what the card was rendered with."""
_AT_START = {"the sample", "no data"}
_KNOWN_ROOTS = {
    "event": {"type", "id", "correlation_id", "time", "source", "lang", "stream"},
    "notification": {
        "id", "channel", "channel_title", "stakeholders", "stakeholders_text", "priority", "priority_icon",
        "priority_color", "priority_style",
    },
    "links": {
        "acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies", "view_claim", "edit_claim",
        "process_payment", "rejection_guide", "dashboard", "logs", "flower", "runbook", "nphies_portal",
        "nphies_status", "nphies_docs",
    },
}  # fmt: skip
_ROOTS = {*_KNOWN_ROOTS, "data", "facts"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a card, where, and the fix."""

    file: Path
    path: str
    message: str
    warning: bool = False
    """Whether the card works all the same."""
    rendered: str = ""
    """What the card was rendered with."""
    also: tuple[str, ...] = ()
    """Where else in the file the same is wrong."""

    def line(self) -> str:
        """Write it on one line."""
        kind = "warning: " if self.warning else ""
        message = self.message.replace(_RENDERED, self.rendered)
        return f"{kind}{self.file}: {self.path}: {message}{_also(self.also)}"


def _also(places: tuple[str, ...]) -> str:
    if not places:
        return ""
    more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
    return f" (also at {', '.join(places[:_SHOWN_PLACES])}{more})"


def _one_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each kind of fault in a file, with all places: the same is seen with many data."""
    firsts: dict[tuple[Path, str], Finding] = {}
    places: dict[tuple[Path, str], dict[str, None]] = {}
    for finding in findings:
        kind = (finding.file, finding.message)
        first = firsts.setdefault(kind, finding)
        # With other data the same element has another path; an expression stays the same.
        if finding.rendered == first.rendered or finding.path.startswith("${"):
            places.setdefault(kind, {})[finding.path] = None
    return [
        replace(first, also=tuple(place for place in places[kind] if place != first.path))
        for kind, first in firsts.items()
    ]


def check_folder(
    folder: Path, config: Config, *, base: Path | None = None, thorough: bool = True
) -> list[Finding]:
    """Return every fault and warning of the templates of a folder, rendered with its samples and with worse data.

    Args:
        folder: Holds the templates, `samples/` and `fields.toml`.
        config: Routes and limits.
        base: The folder that this one lies over; its own cards are taken to be sound.
        thorough: Render with every sample and with all variants of its data, not only with the first of each card.
    """
    findings: list[Finding] = []
    templates: dict[str, Template] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            templates[path.stem] = card_template(json.loads(path.read_bytes()))
        except (ValueError, OSError, RecursionError) as exc:
            findings.append(Finding(path, "$", f"is not readable JSON: {exc}"))
        except TemplateError as exc:
            where, _, message = str(exc).partition(": ")
            findings.append(Finding(path, where, message))
    try:
        fields = read_fields(*([base] if base else []), folder)
    except ValueError as exc:
        return [*findings, Finding(folder / "fields.toml", "$", f"cannot be used: {exc}")]
    for name, template in templates.items():
        findings += _unknown_paths(folder / f"{name}.json", template, fields)
    check = _Check(folder, base, config, templates, fields, thorough=thorough)
    return _one_of_each([*findings, *check.findings()])


def refuse_broken(folder: Path, config: Config, *, base: Path | None = None) -> None:
    """Raise CardError with the faults of a folder, so that a broken card is never found out at delivery."""
    faults = [
        finding
        for finding in check_folder(folder, config, base=base, thorough=False)
        if not finding.warning
    ]
    if faults:
        more = (
            f"\n… and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        )
        shown = "\n".join(finding.line() for finding in faults[:_SHOWN_FAULTS])
        raise CardError(f"{shown}{more}\nfix them and run: notifier cards check")


def _unknown_paths(path: Path, template: Template, fields: Fields) -> Iterator[Finding]:
    documented = fields.get(path.stem.partition(".")[0])
    for read in sorted(template.paths):
        root, _, rest = read.removeprefix("$root.").partition(".")
        name = rest.partition(".")[0]
        if root in _KNOWN_ROOTS and name and name not in _KNOWN_ROOTS[root]:
            yield Finding(path, "$", f"reads {read}, which no notification has", warning=True)
        if root == "data" and name and documented and name not in documented:
            yield Finding(
                path,
                "$",
                f"reads {read}, which no event's documented fields provide; add it to fields.toml or correct it",
                warning=True,
            )


class _Check:
    """Render all cards of a folder with all variants of its samples."""

    def __init__(
        self,
        folder: Path,
        base: Path | None,
        config: Config,
        templates: Mapping[str, Template],
        fields: Fields,
        *,
        thorough: bool,
    ) -> None:
        below = checked_cards(Folder.read(base).templates).templates if base else {}
        cards = Cards(ChainMap(dict(templates), below))  # type: ignore[arg-type]
        self._base = base
        self._most_bytes = config.delivery.max_card_bytes
        self._own = frozenset(templates)
        self._thorough = thorough
        self._rendered_cards: set[str] = set()
        self._seen_templates: set[str] = set()
        self._folder = folder
        self._config = config
        self._cards = cards
        self._fields = fields
        self._catalogue = Catalogue(config.routes, config.channels)
        self._masking = Masking.of(config.masking.fields, config.masking.exempt)
        self._renderer = CardRenderer(
            cards,
            config,
            lambda notification_id, action, _: (
                f"https://notify.invalid/a/{action}/{notification_id}"
            ),
        )

    def findings(self) -> Iterator[Finding]:
        """Yield each fault once, for the first sample and variant that shows it."""
        seen: set[tuple[str, str]] = set()
        for finding in self._all():
            if (str(finding.file), finding.path) not in seen:
                seen.add((str(finding.file), finding.path))
                yield finding

    def _all(self) -> Iterator[Finding]:
        folders = [*([self._base] if self._base else []), self._folder]
        for path in layered(folders, "samples/*.json").values():
            for notification in self._notifications(path):
                if isinstance(notification, Finding):
                    yield notification
                else:
                    yield from self._rendered(path.name, notification)
        for name in sorted(self._own - self._seen_templates):
            card, _, lang = name.partition(".")
            made_up = self._made_up()._replace(card=card, lang=lang or "en")
            if card == DIGEST_CARD:
                # Nobody sends a digest: its data are always what digest_of makes.
                made_up = digest_of([made_up] * 25, lambda _: "https://notify.invalid/a/x")
            yield from self._rendered("a made-up event", made_up)

    def _made_up(self) -> Notification:
        channel = next(iter(self._config.channels))
        event = to_event(
            self._config.streams[0], "0-0", {"type": "cards.check", "stakeholders": [channel]}
        )
        return self._catalogue.route(event, {}).notifications[0]

    def _notifications(self, path: Path) -> Iterator[Notification | Finding]:
        try:
            members = json_object("event", path.read_text(encoding="utf-8-sig"))
            event = to_event(self._config.streams[0], "0-0", members)
            data = mask_event_data(event.data, self._masking)
            [first, *_] = self._catalogue.route(event, data).notifications
        except (ValueError, OSError) as exc:
            yield Finding(path, "$", f"cannot be read, or goes to no channel: {exc}")
        except NotifierError as exc:
            yield Finding(path, "$", str(exc))
        else:
            if not self._thorough and first.card in self._rendered_cards:
                return
            self._rendered_cards.add(first.card)
            own_sample = path.is_relative_to(self._folder)
            for lang in sorted({first.lang, "en", *self._languages(first.card)}):
                names = (f"{first.card}.{lang}", first.card)
                template = next((name for name in names if name in self._cards.templates), "")
                if own_sample or template in self._own:
                    yield first._replace(lang=lang)

    def _languages(self, card: str) -> Iterator[str]:
        for name in self._cards.templates:
            if name.startswith(f"{card}."):
                yield name.removeprefix(f"{card}.")

    def _file(self, template: str) -> Path:
        folder = self._folder if self._base is None or template in self._own else self._base
        return folder / f"{template}.json"

    def _rendered(self, sample: str, notification: Notification) -> Iterator[Finding]:
        fields = self._fields.get(notification.card, {})
        template = self._cards.templates.get(notification.card)
        read = (template.members_read("data") if template is not None else None) or ()
        for name, data in variants(notification.data, fields, read):
            if notification.card == DIGEST_CARD and name != "the sample":
                continue
            if name not in _AT_START and not self._thorough:
                continue
            what = f"with {name} of {sample}"
            try:
                rendered = self._renderer.render(notification._replace(data=data))
                card = posted_card(
                    rendered.card, max_card_bytes=self._most_bytes, more_link=rendered.more_link
                )
            except NotifierError as exc:
                yield Finding(self._file(notification.card), "$", f"{what}: {exc}")
                continue
            self._seen_templates.add(rendered.template)
            file = self._file(rendered.template)
            for gap in rendered.gaps:
                yield Finding(file, f"${{{gap}}}", _gap_message(gap), rendered=what)
            if name == "the sample":
                for where in _unclosed(card):
                    yield Finding(file, where, "shows ${; close it with } or write \\${")
            if name == WITH_COMMAS:
                for where in _cut_at_commas(card):
                    message = (
                        f"shows {COMMA_AMOUNT} as 917; read amounts with amount() or money()"
                    )
                    yield Finding(file, where, message, rendered=what)
            for fault in card_faults(card):
                message = f"{fault.message} ({_RENDERED})"
                yield Finding(file, fault.path, message, fault.warning, what)


def _gap_message(expression: str) -> str:
    name = _NAME.match(expression)
    if name is not None and name[0] not in _ROOTS:
        return (
            "has no value {rendered}: the data of an event are in data, so write ${data.name}"
        )
    return f"has no value {_RENDERED}; guard it with exists() or if()"


_CUT = re.compile(rf"(?<![\w,.]){COMMA_AMOUNT.partition(',')[0]}(?:\.0+)?(?![\w,.])")


def _cut_at_commas(card: JsonValue) -> Iterator[str]:
    """Yield where an amount with commas is read up to the first of them, as the reference's float and int do."""
    return (path for path, text in _texts(card, "$") if _CUT.search(text))


def _unclosed(card: JsonValue) -> Iterator[str]:
    return (path for path, text in _texts(card, "$") if "${" in text)


def _texts(node: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    """Yield each text of a card with its path."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _texts(item, f"{path}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, f"{path}.{key}")
