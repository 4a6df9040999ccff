"""Values in notebooks and as text: tables in HTML and in columns, and data frames of pandas."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tenfold.errors import MissingExtraError

MOST_ROWS = 60  # of a table; the middle of a longer one is left out


def table(header: Sequence[str], body: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table as HTML; all text is escaped. Of a long one, the first and the last rows are shown."""
    rows = list(body)
    left_out = max(0, len(rows) - MOST_ROWS)
    if left_out:
        half = MOST_ROWS // 2
        rows = [*rows[:half], [f"… {left_out:,} more …", *[""] * (len(header) - 1)], *rows[-half:]]
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = f"<thead>{_row(header, 'th')}</thead>" if any(header) else ""
    return f"<table>{title}{head}<tbody>{''.join(_row(row, 'td') for row in rows)}</tbody></table>"


def aligned(header: Sequence[str], body: Iterable[Sequence[Any]]) -> str:
    """A table as lines of text with aligned columns."""
    rows = [[str(cell) for cell in row] for row in (header, *body)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def preformatted(text: str) -> str:
    """Text in its own lines, as HTML."""
    return f"<pre>{html.escape(text)}</pre>"


def data_frame(make: Callable[[], Any]) -> Any:
    """The data frame that `make` returns. Raises MissingExtraError if pandas is not installed."""
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise MissingExtraError("to_pandas needs pandas, which is not installed: pip install pandas") from None
    return make()


def _row(cells: Sequence[Any], kind: str) -> str:
    return f"<tr>{''.join(f'<{kind}>{html.escape(str(cell))}</{kind}>' for cell in cells)}</tr>"
