"""Check a folder of templates with its samples and with worse data."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs
from pydantic import JsonValue

from notifier.cards.check.schema import card_faults
from notifier.cards.check.variants import COMMA_AMOUNT, WITH_COMMAS, variants
from notifier.cards.fields import Fields, read_fields
from notifier.cards.library import FIELDS_FILE, CardFiles, CardLibrary, layered, read_template
from notifier.cards.preview import Preview, example_link
from notifier.config import Config
from notifier.errors import CardError, NotifierError, TemplateError
from notifier.events.digest import DIGEST_CARD
from notifier.events.notification import Notification
from notifier.telemetry.findings import Finding, Level
from notifier.templating import Template

_CHECK = "cards"
_SHOWN_FAULTS = 10
_SHOWN_PLACES = 3
_DIGESTED = 25
_NAME = re.compile(r"[A-Za-z_]\w*(?![\w(])")
_AT_START = {"the sample", "no data"}
"""The variants that a start of the daemon renders."""
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
class _Fault:
    """A fault or warning at one place of a file."""

    file: Path
    path: str
    message: str
    fix: str = ""
    warning: bool = False
    rendered: str = ""
    """The data with which the card was rendered."""
    also: tuple[str, ...] = ()
    """Other places of the file with the same fault."""

    @property
    def finding(self) -> Finding:
        rendered = f" ({self.rendered})" if self.rendered else ""
        return Finding(
            _CHECK,
            Level.WARNING if self.warning else Level.FAULT,
            f"{self.message}{rendered}{_also(self.also)}",
            self.fix,
            f"{self.file}: {self.path}",
        )


def _fault_of(file: Path, path: str, text: str, *, rendered: str = "") -> _Fault:
    """Return a message as a fault; the fix follows the last semicolon."""
    message, semicolon, fix = text.rpartition("; ")
    return _Fault(
        file, path, message if semicolon else text, fix if semicolon else "", rendered=rendered
    )


def _also(places: tuple[str, ...]) -> str:
    if not places:
        return ""
    more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
    return f" (also at {', '.join(places[:_SHOWN_PLACES])}{more})"


def _one_of_each(faults: Iterable[_Fault]) -> list[_Fault]:
    """Return one fault of each kind in a file, with all its places."""
    firsts: dict[tuple[Path, str, str], _Fault] = {}
    places: dict[tuple[Path, str, str], dict[str, None]] = {}
    for fault in faults:
        kind = (fault.file, fault.message, fault.fix)
        first = firsts.setdefault(kind, fault)
        # With other data the same element has another path; an expression stays the same.
        if fault.rendered == first.rendered or fault.path.startswith("${"):
            places.setdefault(kind, {})[fault.path] = None
    return [
        replace(first, also=tuple(place for place in places[kind] if place != first.path))
        for kind, first in firsts.items()
    ]


def check_folder(
    folder: Path, config: Config, *, base: Path | None = None, thorough: bool = True
) -> list[Finding]:
    """Return every fault and warning of the templates of a folder.

    Args:
        folder: Holds the templates, `samples/` and `fields.toml`.
        config: Routes and limits.
        base: The folder whose files this one replaces; its own cards are not checked.
        thorough: Render every sample with all variants of its data, not only the first sample of each card.
    """
    faults: list[_Fault] = []
    templates: dict[str, Template] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            templates[path.stem] = read_template(path)
        except CardError as exc:
            faults.append(_Fault(path, "$", str(exc)))
        except TemplateError as exc:
            where, _, text = str(exc).partition(": ")
            faults.append(_fault_of(path, where, text))
    try:
        fields = read_fields(*([base] if base else []), folder)
    except ValueError as exc:
        faults.append(_fault_of(folder / FIELDS_FILE, "$", f"cannot be used: {exc}"))
    else:
        for name, template in templates.items():
            faults += _unknown_paths(folder / f"{name}.json", template, fields)
        check = _FolderCheck(folder, base, config, templates, fields, thorough=thorough)
        faults = _one_of_each([*faults, *check.faults()])
    return [fault.finding for fault in faults]


def refuse_broken(folder: Path, config: Config, *, base: Path | None = None) -> None:
    """Refuse a folder with faults, so that no delivery meets a broken card.

    Raises:
        CardError: Names the first faults and their fixes.
    """
    faults = [
        str(finding)
        for finding in check_folder(folder, config, base=base, thorough=False)
        if finding.level is Level.FAULT
    ]
    if faults:
        more = [f"… and {len(faults) - _SHOWN_FAULTS} more"][: len(faults) > _SHOWN_FAULTS]
        lines = [*faults[:_SHOWN_FAULTS], *more, "fix them and run: notifier cards check"]
        raise CardError("\n".join(lines))


def _unknown_paths(path: Path, template: Template, fields: Fields) -> Iterator[_Fault]:
    documented = fields.get(path.stem.partition(".")[0])
    for read in sorted(template.paths):
        root, _, rest = read.removeprefix("$root.").partition(".")
        name = rest.partition(".")[0]
        if root in _KNOWN_ROOTS and name and name not in _KNOWN_ROOTS[root]:
            message = f"reads {read}, which no notification has"
            yield _Fault(path, "$", message, warning=True)
        if root == "data" and name and documented and name not in documented:
            message = f"reads {read}, which no event's documented fields provide"
            yield _Fault(
                path, "$", message, "add it to fields.toml or correct it", warning=True
            )


class _FolderCheck:
    """Renders all cards of a folder with all variants of its samples."""

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
        below = CardLibrary.on_demand(CardFiles.read(base).templates).templates if base else {}
        self._cards = CardLibrary(ChainMap(dict(templates), below))  # type: ignore[arg-type]
        self._base = base
        self._folder = folder
        self._own = frozenset(templates)
        self._fields = fields
        self._thorough = thorough
        self._sampled_cards: set[str] = set()
        self._rendered_templates: set[str] = set()
        self._preview = Preview(config, self._cards, action_link=example_link)

    def faults(self) -> Iterator[_Fault]:
        """Yield each fault once, for the first sample and variant that shows it."""
        seen: set[tuple[Path, str]] = set()
        for fault in self._all():
            if (fault.file, fault.path) not in seen:
                seen.add((fault.file, fault.path))
                yield fault

    def _all(self) -> Iterator[_Fault]:
        folders = [*([self._base] if self._base else []), self._folder]
        for path in layered(folders, "samples/*.json").values():
            try:
                notifications = self._preview.read_sample(path)
            except CardError as exc:
                yield _fault_of(path, "$", str(exc))
                continue
            for notification in self._to_render(path, notifications):
                yield from self._faults_of(path.name, notification)
        for name in sorted(self._own - self._rendered_templates):
            card, _, lang = name.partition(".")
            made_up = self._preview.made_up(card, lang or "en")
            if card == DIGEST_CARD:
                # Nobody sends a digest: its data are always made by digest_of.
                made_up = self._preview.digest(made_up, _DIGESTED)
            yield from self._faults_of("a made-up event", made_up)

    def _to_render(
        self, path: Path, notifications: list[Notification]
    ) -> Iterator[Notification]:
        card = notifications[0].card
        if not self._thorough and card in self._sampled_cards:
            return
        self._sampled_cards.add(card)
        own_sample = path.is_relative_to(self._folder)
        for notification in notifications:
            names = (f"{card}.{notification.lang}", card)
            template = next((name for name in names if name in self._cards.templates), "")
            if own_sample or template in self._own:
                yield notification

    def _file(self, template: str) -> Path:
        folder = self._folder if self._base is None or template in self._own else self._base
        return folder / f"{template}.json"

    def _faults_of(self, sample: str, notification: Notification) -> Iterator[_Fault]:
        fields = self._fields.get(notification.card, {})
        template = self._cards.templates.get(notification.card)
        read = (template.members_read("data") if template is not None else None) or ()
        for name, data in variants(notification.data, fields, read):
            if notification.card == DIGEST_CARD and name != "the sample":
                continue
            if name not in _AT_START and not self._thorough:
                continue
            yield from self._faults_with(name, sample, structs.replace(notification, data=data))

    def _faults_with(
        self, variant: str, sample: str, notification: Notification
    ) -> Iterator[_Fault]:
        rendered = f"with {variant} of {sample}"
        try:
            card = self._preview.render(notification)
        except NotifierError as exc:
            yield _fault_of(self._file(notification.card), "$", str(exc), rendered=rendered)
            return
        self._rendered_templates.add(card.template)
        file = self._file(card.template)
        for gap in card.gaps:
            fix = _gap_fix(gap)
            yield _Fault(file, f"${{{gap}}}", "has no value", fix, rendered=rendered)
        if variant == "the sample":
            for where, text in _texts(card.card, "$"):
                if "${" in text:
                    yield _Fault(file, where, "shows ${", "close it with } or write \\${")
        if variant == WITH_COMMAS:
            for where, text in _texts(card.card, "$"):
                if _CUT.search(text):
                    message = f"shows {COMMA_AMOUNT} as 917"
                    fix = "read amounts with amount() or money()"
                    yield _Fault(file, where, message, fix, rendered=rendered)
        for fault in card_faults(card.card):
            yield _Fault(file, *fault, rendered=rendered)


def _gap_fix(expression: str) -> str:
    name = _NAME.match(expression)
    if name is not None and name[0] not in _ROOTS:
        return "the data of an event are in data, so write ${data.name}"
    return "guard it with exists() or if()"


_CUT = re.compile(rf"(?<![\w,.]){COMMA_AMOUNT.partition(',')[0]}(?:\.0+)?(?![\w,.])")
"""An amount that is read up to its first comma only."""


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
