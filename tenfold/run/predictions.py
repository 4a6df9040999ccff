"""Read the predictions of a run from Parquet, without taking far more memory than they need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.counted import counted
from tenfold.data.pages import chunks, pages

MOST_NUMBERS = 1 << 26  # in a small file; a larger file may hold as many as it has bytes
NAME = "name"  # of own images
FIXED = ("INT64", "INT32", "FLOAT", "DOUBLE")  # types of the columns of numbers
LABEL = "label"
LONGEST_NAME = 4096  # bytes: the longest path of Linux


def read(path: Path) -> Any:
    """The pyarrow.Table in the file. Raises ValueError, in a few words, if it is damaged or claims to be enormous."""
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path, read_dictionary=[LABEL]) as file:
            columns = [file.metadata.schema.column(i) for i in range(file.metadata.num_columns)]
            if any(column.max_repetition_level or (column.path not in (LABEL, NAME)
                                                   and column.physical_type not in FIXED)
                   for column in columns):
                raise ValueError("a column does not hold numbers")
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            rows = max(file.metadata.num_rows, sum(max(group.num_rows, 0) for group in groups))
            if rows * len(columns) > max(MOST_NUMBERS, path.stat().st_size):
                raise ValueError(f"{counted(rows, 'row')} of {len(columns):,} columns in {path.stat().st_size:,} bytes")
            named = any(column.path == NAME for column in columns)
            if _unpacked(path) > (8 + LONGEST_NAME * named) * rows * len(columns) + (64 << 20):
                raise ValueError("its pages unpack to more than its rows")
            table = file.read()
        longest = max((len(name) for chunk in table[LABEL].chunks for name in chunk.dictionary.to_pylist()), default=0)
        if longest * rows > 8 * MOST_NUMBERS:
            raise ValueError(f"{rows:,} labels of up to {longest:,} characters")
        return table.set_column(table.column_names.index(LABEL), LABEL, table[LABEL].cast("string"))
    except (ArrowException, OSError, KeyError, IndexError, TypeError, AttributeError):
        raise ValueError("invalid Parquet") from None


def _unpacked(path: Path) -> int:
    """The bytes of all pages by their own headers; what the end of the file says of them may be a lie."""
    content = path.read_bytes()
    return sum(page.size for chunk in chunks(content) for page in pages(content, chunk))
