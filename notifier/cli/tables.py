"""Tables for people on a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from notifier.cli.options import plain

Row = Sequence[str]

_LONGEST_WORD = 24
"""Of a longer word, such as an address, the rest may go onto the next line."""
_AROUND_A_CELL = 2


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
        rows: As many texts each; what does not print is replaced, as it may move the cursor.
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
    """Tell whether words would be broken into pieces that nobody can read."""
    words = (
        max((cell_len(word) for text in texts for word in text.split()), default=0)
        for texts in zip(columns, *rows, strict=True)
    )
    return sum(min(each, _LONGEST_WORD) + _AROUND_A_CELL for each in words) > width


def _print_blocks(columns: Sequence[str], rows: Sequence[Row], out: Console) -> None:
    """Print each row as lines of its own: the first cell, then what is not empty under its heading."""
    for first, *rest in rows:
        out.print(plain(first), soft_wrap=True)
        for name, cell in zip(columns[1:], rest, strict=True):
            if cell:
                out.print(Padding(plain(f"{name}: {cell}"), (0, 0, 0, 2)))
