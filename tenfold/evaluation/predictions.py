"""Writes and reads the predictions of a run. Calibration, comparisons and reports use them later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import csvfile
from tenfold.counted import counted
from tenfold.errors import RunError

if TYPE_CHECKING:
    from tenfold.run import Run


def write_predictions(run: Run, split: str, labels: np.ndarray, probabilities: np.ndarray,
                      classes: tuple[str, ...], csv: bool = False, names: Sequence[str] = ()) -> None:
    """Write labels int64 [n] and probabilities [n, k] of one split, with the columns index, label, `p_<class>`…

    `names`, the paths of own images for example, become a last column `name`; in CSV, spreadsheets do not execute them.
    """
    import pyarrow
    from pyarrow import csv as pyarrow_csv
    from pyarrow import parquet

    columns = {"index": _numbers(np.arange(len(labels))), "label": _texts(classes).take(_numbers(labels))}
    columns |= {f"p_{name}": _numbers(probabilities[:, i]) for i, name in enumerate(classes)}
    if names:
        columns["name"] = _texts(names)
    table = pyarrow.table(columns)
    run.write(f"predictions/{split}.parquet", lambda path: parquet.write_table(table, path))
    if csv:
        shown = _texts([csvfile.cell(name) for name in classes]).take(_numbers(labels))
        safe = table.set_column(1, "label", shown)
        if names:
            safe = safe.set_column(len(columns) - 1, "name", _texts([csvfile.cell(name) for name in names]))
        run.write(f"predictions/{split}.csv", lambda path: pyarrow_csv.write_csv(safe, path))


def _numbers(values: np.ndarray) -> Any:
    """A column of numbers [n]; NaN stays NaN. `pyarrow.array` would import pandas, which takes 0.2 s."""
    import pyarrow

    values = np.ascontiguousarray(values)
    return pyarrow.Array.from_buffers(pyarrow.from_numpy_dtype(values.dtype), len(values),
                                      [None, pyarrow.py_buffer(values)])


def _texts(values: Sequence[str]) -> Any:
    """A column of texts, without pandas as well."""
    import pyarrow

    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pyarrow.StringArray.from_buffers(len(values), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded)))


def whole_table(run: Run, split: str) -> Any:
    """The pyarrow.Table of a split. Raises RunError if it is damaged or its length differs from the metrics."""
    table = run.predictions(split)
    scored = run.metrics().get(split, {}).get("count", len(table)) if run.has("metrics.json") else len(table)
    if len(table) != scored:
        raise RunError(f"{run.path}: its {split} predictions have {counted(len(table), 'image')}; expected {scored:,} "
                       f"as in metrics.json; score it again with `tenfold evaluate {run.path}`")
    return table


def read_finite(run: Run, split: str) -> tuple[np.ndarray, np.ndarray]:
    """As `read_predictions`. Raises RunError also if a probability is NaN or infinite."""
    labels, probabilities = read_predictions(run, split)
    if not np.isfinite(probabilities).all():
        raise RunError(f"{run.path}: some {split} probabilities are NaN or infinite; expected finite ones; train again "
                       "with a lower learning rate")
    return labels, probabilities


def read_predictions(run: Run, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(labels int64 [n], probabilities float32 [n, k]) of one split.

    Raises RunError if the run has no predictions, or if their classes or number of images differ from those of the
    run and its metrics.
    """
    classes = run.classes()
    table = whole_table(run, split)
    columns = ["index", "label", *(f"p_{name}" for name in classes)]
    labelled = set(table["label"].unique().to_pylist()) <= set(classes) if "label" in table.column_names else False
    if not labelled or table.column_names not in (columns, [*columns, "name"]):
        raise RunError(f"{run.path}: the classes of its {split} predictions differ from environment.json; "
                       f"score it again with `tenfold evaluate {run.path}`")
    position = {name: i for i, name in enumerate(classes)}
    labels = np.array([position[name] for name in table["label"].to_pylist()], np.int64)
    return labels, np.stack([_values(table[f"p_{name}"].combine_chunks()) for name in classes], axis=1)


def _values(column: Any) -> np.ndarray:
    """The numbers of a column, NaN for missing ones. Where none is missing, pandas is not imported."""
    return column.to_numpy(zero_copy_only=False) if column.null_count else np.from_dlpack(column)
