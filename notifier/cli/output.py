"""Print results: tables for a terminal, lines for a pipe, and JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from notifier.errors import NotifierError
from notifier.telemetry.findings import Finding, Level, count, fault_of

Row = Sequence[str]

_LONGEST_WORD = 24
"""A longer word, such as an address, may be continued on the next line."""
_AROUND_A_CELL = 2
_UNSEEN = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters that JSON does not escape, and characters that turn the direction of text."""
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "bold red"}


def print_json(value: object) -> None:
    """Print indented JSON; escape characters that move a cursor or turn text."""
    typer.echo(json_text(value))


def json_text(value: object) -> str:
    """Return the text of print_json."""
    from notifier.events.json import to_indented_json

    return _UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", to_indented_json(value))


def print_result(document: object, text: str, *, as_json: bool, quiet: bool = False) -> None:
    """Print one JSON document, or text for people unless `quiet`."""
    if as_json:
        print_json(document)
    elif not quiet:
        typer.echo(printable(text))


def printable(text: str) -> str:
    """Replace control characters but line feeds: producers send them."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def plain(text: str) -> Text:
    """Return text without markup and control characters."""
    return Text("".join(sign if sign.isprintable() else "\ufffd" for sign in text))


def confirm(question: str, *, yes: bool) -> None:
    """Ask at a terminal before something is destroyed.

    Without a terminal, or with --yes, nothing is asked. The question goes to standard error.

    Raises:
        typer.Abort: The answer is not yes.
    """
    if not yes and typer.get_text_stream("stdin").isatty():
        typer.confirm(question, abort=True, err=True)


def output() -> Console:
    """Return standard output; in a pipe no line is wrapped."""
    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal
    return console


def print_table(
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    whole: Collection[str] = (),
    title: str | None = None,
    console: Console | None = None,
) -> None:
    """Print rows; in a pipe one tab-separated line per row, without a heading.

    Args:
        columns: Headings.
        rows: As many texts each; control characters are replaced.
        whole: Columns that never wrap, such as an id that the next command needs.
        title: Line above the table.
        console: Where to print; standard output if None.
    """
    out = console or output()
    if title is not None:
        out.print(plain(title))
    if not out.is_terminal:
        for row in rows:
            out.file.write("\t".join(plain(cell).plain for cell in row) + "\n")
        return
    if _too_narrow(columns, rows, out.width):
        _print_blocks(columns, rows, out)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        widest = max((cell_len(row[number]) for row in rows), default=0)
        table.add_column(
            name,
            overflow="fold",
            no_wrap=name in whole,
            min_width=widest if name in whole else None,
        )
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    out.print(table)


def _too_narrow(columns: Sequence[str], rows: Sequence[Row], width: int) -> bool:
    """Tell whether words would be broken into unreadable pieces."""
    words = (
        max((cell_len(word) for text in texts for word in text.split()), default=0)
        for texts in zip(columns, *rows, strict=True)
    )
    return sum(min(each, _LONGEST_WORD) + _AROUND_A_CELL for each in words) > width


def _print_blocks(columns: Sequence[str], rows: Sequence[Row], out: Console) -> None:
    """Print each row as lines: the first cell, then the others by heading."""
    for first, *rest in rows:
        out.print(plain(first), soft_wrap=True)
        for name, cell in zip(columns[1:], rest, strict=True):
            if cell:
                out.print(Padding(plain(f"{name}: {cell}"), (0, 0, 0, 2)))


def findings_document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return findings as every command with --json prints them."""
    return {
        "faults": count(findings, Level.FAULT),
        "warnings": count(findings, Level.WARNING),
        "findings": [each.as_json for each in findings],
    }


def error_findings(check: str, error: NotifierError) -> list[Finding]:
    """Return one fault for each line of an error that names several."""
    head, *lines = str(error).splitlines()
    return [
        fault_of(check, line.strip(), otherwise="correct it, then: notifier config check")
        for line in lines or [head]
    ]


def print_findings(
    findings: Sequence[Finding], *, err: bool = False, lines_in_pipe: bool = True
) -> None:
    """Print findings as a table; in a pipe one line each."""
    console = Console(stderr=err, highlight=False)
    if lines_in_pipe and not console.is_terminal:
        for each in findings:
            level = "warning: " if each.level is Level.WARNING else ""
            typer.echo(printable(f"{level}{each}"), err=err)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        where = f"{finding.where}: " if finding.where else ""
        cell = plain(f"{where}{finding.message}")
        if finding.fix:
            cell.append(f"\n→ {finding.fix}", style="cyan")
        coloured = Text(finding.level.value, style=_STYLES[finding.level])
        table.add_row(coloured, Text(finding.check, style="bold"), cell)
    console.print(table)


def counted(findings: Sequence[Finding]) -> str:
    """Return how many faults and warnings there are."""
    numbers = (
        (count(findings, Level.FAULT), "fault"),
        (count(findings, Level.WARNING), "warning"),
    )
    return ", ".join(f"{many} {word}{'' if many == 1 else 's'}" for many, word in numbers)
