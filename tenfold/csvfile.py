"""Tables as CSV (RFC 4180) that programs read back and spreadsheets show as they are.

Spreadsheets take a cell that begins with = + - or @ for a formula, and a formula can run programs or send the other
cells away: the name of a file or of a class, which anybody may have chosen, must not become one. Such a text gets an
apostrophe before it, which tells them that it is text. Numbers stay as they are, negative ones too; whoever needs every
text unchanged takes the JSON.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a tab or a line's end before a formula is skipped


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV under a header of all their keys, in the order in which they appear; lines end with "\\n".

    A key that a row lacks, and None, is an empty cell.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines: list[list[Any]] = [columns, *([row.get(column) for column in columns] for row in rows)]
    return "".join(map(_line, lines))


def cell(value: Any) -> Any:
    """A value as it may stand in a cell: a text that would be taken for a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    # With "\n" as the end of a line, Python's writer leaves a "\r" unquoted, where readers see another line.
    csv.writer(buffer, lineterminator="\r\n").writerow(map(cell, values))
    return buffer.getvalue().removesuffix("\r\n") + "\n"
