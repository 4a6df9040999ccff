"""Read and write `history.csv`, with one record per epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("epoch", "seconds", "images_per_second", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")


def dumps(records: Iterable[Mapping[str, float]]) -> str:
    """Records as CSV text; additional columns follow the standard ones."""
    records = list(records)
    extra = [k for k in dict.fromkeys(k for r in records for k in r) if k not in COLUMNS]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *extra], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def loads(text: str) -> list[dict[str, float]]:
    """The records in CSV text, without the values that were not measured. Raises ValueError if it is damaged."""
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:
        raise ValueError("invalid CSV") from None
    header = rows[0] if rows else []
    try:
        records = [{k: int(v) if k == "epoch" else float(v) for k, v in zip(header, row, strict=True) if v}
                   for row in rows[1:]]
    except ValueError:
        raise ValueError("a row is incomplete, or a value is not a number") from None
    if header[: len(COLUMNS)] != list(COLUMNS) or [r.get("epoch") for r in records] != [*range(1, len(rows))]:
        raise ValueError("the columns or the epoch numbers are wrong")
    return records
