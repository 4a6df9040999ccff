"""`history.csv`: one record an epoch, as text and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("epoch", "seconds", "images_per_second", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")


def dumps(records: Iterable[Mapping[str, float]]) -> str:
    """Records as CSV; any further columns come after the usual ones."""
    records = list(records)
    extra = [k for k in dict.fromkeys(k for r in records for k in r) if k not in COLUMNS]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *extra], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def loads(text: str) -> list[dict[str, float]]:
    """The records in CSV text; a value that was not measured is left out. Raises ValueError if it is damaged."""
    rows = list(csv.reader(io.StringIO(text)))
    header = rows[0] if rows else []
    try:
        records = [{k: int(v) if k == "epoch" else float(v) for k, v in zip(header, row, strict=True) if v}
                   for row in rows[1:]]
    except ValueError:
        raise ValueError("a row is cut off, or a value is no number") from None
    if header[: len(COLUMNS)] != list(COLUMNS) or [r.get("epoch") for r in records] != [*range(1, len(rows))]:
        raise ValueError("its columns or epochs are not those of a training")
    return records
