"""The predictions of a run on a split, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tenfold.notebooks import data_frame, table


@dataclass(frozen=True)
class PredictionTable:
    """A pyarrow.Table (`table`) with the columns index, label (the true one) and `p_<class>` for each class.

    Indexing, `len` and everything else that a pyarrow.Table has go to it.
    """

    table: Any

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, column: str | int) -> Any:
        return self.table[column]

    def __getattr__(self, name: str) -> Any:
        if name == "table":  # while the value is being copied
            raise AttributeError(name)
        return getattr(self.table, name)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with the same columns. Raises MissingExtraError if pandas is not installed."""
        return data_frame(self.table.to_pandas)

    def _repr_html_(self) -> str:
        names = [name for name in self.table.column_names if name.startswith("p_")]
        columns = [self.table[name].to_numpy() for name in names]
        rows = []
        for i, label in enumerate(self.table["label"].to_pylist()):
            p = [column[i] for column in columns]
            best = max(range(len(names)), key=p.__getitem__)
            rows.append((i, label, names[best].removeprefix("p_"), f"{100 * p[best]:.1f} %"))
        return table(("image", "true class", "predicted class", "probability"), rows)
