"""Standard output: as wide as the terminal, or as wide as any table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tenfold import csvfile
from tenfold.counted import counted

UNLIMITED_WIDTH = 10_000  # columns, for files and pipes
TEXT_COLUMNS = ("model", "tied", "better", "than")  # columns of a comparison that hold text; the others hold numbers


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # Rich would exit with 1; the command decides the exit code


def console() -> Console:
    """Standard output: as wide as the terminal; in files and pipes wide enough for any table."""
    return _Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED_WIDTH)


def width() -> int:
    """Columns that fit on a line."""
    return console().width


def show(*things: Any) -> None:
    console().print(*things, soft_wrap=all(isinstance(thing, str) for thing in things))


def table_of(*columns: str) -> Table:
    """A plain table; a column whose name starts with ">" is right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left",
                         overflow="fold")
    return table


def show_fitted(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Print a table without the columns that do not fit into the terminal; return the names of these columns."""
    keep, hidden = _fitting(header, body, console().width)
    table = table_of(*(header[i] if header[i] in TEXT_COLUMNS else f">{header[i]}" for i in keep))
    for row in body:
        table.add_row(*(escape(row[i]) for i in keep))
    show(table)
    return hidden


def _fitting(header: Sequence[str], body: Sequence[Sequence[str]], width: int) -> tuple[list[int], list[str]]:
    """(indices of the columns that fit into `width`, names of the others).

    The first four columns are always kept; the last ones are dropped first.
    """
    widths = [max(len(name), *(len(row[i]) for row in body)) for i, name in enumerate(header)]
    keep = list(range(len(header)))
    while len(keep) > 4 and sum(widths[i] + 2 for i in keep) - 2 > width:
        keep.pop()
    return keep, list(header[len(keep):])


def age(seconds: float) -> str:
    """An age in its largest unit, as in "3 hours ago"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{counted(count, unit)} ago"
    return "just now"


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], header: bool = True) -> None:
    """Print rows as CSV."""
    print(csvfile.text(rows, columns, header), end="")
