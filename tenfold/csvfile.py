"""Writes tables as CSV (RFC 4180) that is safe to open in a spreadsheet.

Spreadsheets treat a cell that begins with = + - or @ as a formula, and a formula can run programs or send the other
cells to somebody. The name of a file or class may come from anybody and must not become a formula. So a text that
begins this way gets an apostrophe in front, which marks it as text. Numbers stay unchanged, also negative ones. The
JSON output has all texts unchanged.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # spreadsheets skip a tab or line break before a formula


def text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), header: bool = True) -> str:
    """The rows as CSV, by default with all keys in order of first appearance as columns; lines end with "\\n".

    A missing key and None become an empty cell.
    """
    columns = columns or list(dict.fromkeys(key for row in rows for key in row))
    lines = _Lines()
    # With "\n" as line terminator, Python's writer does not quote "\r", which readers treat as a line break.
    writer = csv.writer(lines, lineterminator="\r\n")
    if header:
        writer.writerow(map(cell, columns))
    writer.writerows([cell(row.get(column)) for column in columns] for row in rows)
    return "".join(lines.written)


def cell(value: Any) -> Any:
    """A safe value for a cell: a text that a spreadsheet would treat as a formula gets an apostrophe in front.

    The names in a list are joined by "; ".
    """
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


class _Lines:
    """What a CSV writer writes, line by line, with ordinary line ends."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line.removesuffix("\r\n") + "\n")
