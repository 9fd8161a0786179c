"""notifier cards: list, check and render card templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from notifier.cli.files import read_event, read_json, write_text, writing
from notifier.cli.options import (
    AlwaysJsonOption,
    CommandError,
    ConfigOption,
    JsonOption,
    require_one,
    settings,
)
from notifier.cli.output import (
    findings_document,
    print_findings,
    print_json,
    print_result,
    print_table,
)
from notifier.errors import ConfigError, ExitCode, NotifierError
from notifier.telemetry.findings import Level

app = typer.Typer()

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


@app.command("list")
def list_cards(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the templates and the event types that use each."""
    from notifier.cards.library import configured_cards

    loaded = settings(config)
    used: dict[str, list[str]] = {name: [] for name in configured_cards(loaded).templates}
    for event_type, route in loaded.routes.items():
        used.setdefault(route.card, []).append(event_type)
    if as_json:
        print_json([{"card": name, "event_types": types} for name, types in used.items()])
        return
    print_table(
        ("card", "event types"),
        [
            (
                name,
                ", ".join(types)
                or ("any event type without a route" if name == "generic" else ""),
            )
            for name, types in used.items()
        ],
        whole=("card",),
    )


@app.command()
def check(
    directory: Annotated[
        Path | None, typer.Argument(help="Folder; default: the configured one.")
    ] = None,
    config: ConfigOption = None,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal",
            help="If there is no fault, write checked.txt, so that a start need not check these files again.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every template, and render it with its samples.

    Checked are the template language, the version, and the features and the size that Teams takes.
    """
    from notifier.cards.check.folder import check_folder
    from notifier.cards.library import (
        CHECKED_CARD_BYTES,
        SEAL,
        CardFiles,
        existing_folders,
        layered,
        load_cards,
        write_seal,
    )

    if directory is not None and not directory.is_dir():
        raise typer.BadParameter(
            f"there is no such folder: {directory}", param_hint="DIRECTORY"
        )
    loaded = settings(config)
    if directory is not None:
        cards = loaded.cards.model_copy(update={"directory": str(directory)})
        loaded = loaded.model_copy(update={"cards": cards})
    folders = existing_folders(loaded)
    folder = folders[-1]
    if seal and loaded.delivery.max_card_bytes > CHECKED_CARD_BYTES:
        raise ConfigError(
            f"delivery.max_card_bytes: a seal promises cards of at most {CHECKED_CARD_BYTES}; set it to that for the check"
        )
    files = CardFiles.read(*folders)
    base = folders[0] if len(folders) > 1 else None
    findings = check_folder(folder, loaded, base=base)
    broken = any(finding.level is Level.FAULT for finding in findings)
    if not as_json:
        print_findings(findings, err=True)
    sound = 0 if broken else len(load_cards(*folders).templates)
    own = (
        f", {len(layered([folder], '*.json'))} of them in {folder}" if len(folders) > 1 else ""
    )
    if as_json or not broken:
        document = {"sound": not broken, "cards": sound, **findings_document(findings)}
        print_result(document, f"{sound} cards are sound{own}", as_json=as_json)
    if broken:
        raise typer.Exit(ExitCode.FAILED)
    if seal:
        with writing(folder / SEAL):
            write_seal(folder, files)


@app.command("new")
def new_card(
    name: Annotated[
        str,
        typer.Argument(help="Name of the card; that of a shipped card copies it to change."),
    ],
    event_type: Annotated[
        str | None,
        typer.Option("--type", help="Event type of its sample and route; default: name."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="Data field; repeat it. The first is the heading. Default: subject, details."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; default: the configured one.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write a first card in English and Arabic, with fields and a sample."""
    from notifier.cards.new_card import (
        route_line,
        shipped_files,
        starter_files,
        with_fields,
        written_over,
    )

    loaded = settings(config)
    fields = list(dict.fromkeys(field or ["subject", "details"]))
    for text in (name, *fields):
        if not _NAME.fullmatch(text):
            raise typer.BadParameter(
                f"{text}: write lower-case letters, digits and _, a letter first",
                param_hint="NAME",
            )
    if out is None and not loaded.cards.directory:
        raise typer.BadParameter(
            "give a folder for your own cards, or set cards.directory", param_hint="--out"
        )
    folder = out or Path(loaded.cards.directory)
    kind = event_type or name.replace("_", ".")
    if not _TYPE.fullmatch(kind):
        raise typer.BadParameter(
            "write letters, digits and _ . : -, a letter or digit first", param_hint="--type"
        )
    channels = [next(iter(loaded.channels))]
    copied = shipped_files(name)
    files = copied or starter_files(name, kind, fields, channels)
    if there := written_over(folder, list(files)):
        raise CommandError(
            f"{there[0]}: already exists; choose another name, or change that file"
        )
    for file, text in files.items():
        path = folder / file
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if file == "fields.toml" and path.exists():
                text = with_fields(path.read_text(encoding="utf-8-sig"), text)
        write_text(path, text)
    written = [str(folder / file) for file in files]
    route = "" if copied else route_line(name, kind, channels)
    lines = [f"wrote {path}" for path in written]
    if not loaded.cards.directory:
        lines.append(
            f'\nput this into config.toml:\n\n[cards]\ndirectory = "{folder.absolute()}"'
        )
    if route:
        lines.append(f"\nput this under [routes] in config.toml:\n\n{route}")
    document = {"files": written, "directory": str(folder.absolute()), "route": route}
    print_result(document, "\n".join(lines), as_json=as_json)


@app.command()
def preview(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("cards.html"),
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Render all cards with their samples into one HTML file.

    It shows every language, light and dark, phone and desktop.
    """
    from notifier.cards.gallery import gallery_page, render_samples
    from notifier.cards.library import configured_cards, existing_folders
    from notifier.errors import CardError

    loaded = settings(config)
    cards = configured_cards(loaded)
    base, *own = existing_folders(loaded)
    try:
        shown = list(render_samples(own[0] if own else base, loaded, cards, base=base))
    except CardError as exc:
        raise ConfigError(str(exc)) from None
    write_text(out, gallery_page(shown))
    text = f"{len(shown)} cards rendered; open {out}"
    print_result({"file": str(out), "cards": len(shown)}, text, as_json=as_json)


@app.command()
def render(
    template: Annotated[
        str, typer.Argument(metavar="FILE", help="Template file, or the name of a card.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="JSON file with the data to expand it with; - for standard input."),
    ] = None,
    event: Annotated[
        Path | None,
        typer.Option(help="JSON file with a whole event instead; - for standard input."),
    ] = None,
    config: ConfigOption = None,
    as_json: AlwaysJsonOption = False,
) -> None:
    """Expand a template and print the card.

    With --data the file holds the data of the template, as in Microsoft's designer. With --event it holds an event, and
    the template gets the same data as in a delivery.
    """
    from notifier.cards.library import CardLibrary, compile_card, existing_folders, layered
    from notifier.errors import CardError, EventError, TemplateError
    from notifier.events.routing import UnroutableError
    from notifier.ops.publishing import preview_cards
    from notifier.templating import Template

    require_one({"--data": data, "--event": event}, param_hint="--data")
    path = Path(template)
    if not path.exists() and not path.suffix:
        folders = existing_folders(settings(config))
        name = f"{template}.json"
        path = layered(folders, "*.json").get(name, folders[-1] / name)
    if data is not None:
        source, values = read_json(path), read_json(data)
        with _naming(path, TemplateError):
            card = Template(source).expand(values)
        print_json(card)
        return
    assert event is not None  # noqa: S101 - one of the two was given
    members = read_event(event)
    loaded = settings(config)
    with _naming(path, TemplateError, CardError), _naming(event, EventError, UnroutableError):
        cards = CardLibrary({path.stem: compile_card(read_json(path))})
        rendered = preview_cards(loaded, members, cards, card=path.stem)
    print_json(rendered[0][1] if rendered else None)


@contextmanager
def _naming(file: Path, *faults: type[NotifierError]) -> Iterator[None]:
    """Put the file at fault before the messages of these errors."""
    try:
        yield
    except faults as exc:
        raise CommandError(f"{file}: {exc}") from None
