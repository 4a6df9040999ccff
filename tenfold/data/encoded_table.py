"""Parquet files of encoded images, as on the Hugging Face Hub: opened only after their sizes have been checked."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data.images import printable
from tenfold.data.pages import Chunk, chunks, pages
from tenfold.errors import DataError, first_line

if TYPE_CHECKING:
    import pyarrow.parquet

IMAGE_COLUMNS = ("img", "image")
WITHOUT_LABELS = tuple(f"{name}{rest}" for name in IMAGE_COLUMNS for rest in (".bytes", ""))  # instead of labels
MAX_CHUNK = 160 << 20  # unpacked bytes of a column in one row group; reading needs four times as much memory
MAX_PAGES = 100_000  # in all columns of a file; official files have a few hundred
DICTIONARY = {2, 8}  # encodings that store equal values once
DELTA_BYTE_ARRAY = 7  # an encoding in which a few bytes can expand to a thousand long values with a common prefix


@dataclass(frozen=True)
class EncodedTable:
    """An open file: `image` is the column of encoded images, such as "image.bytes", `label` that of the labels."""

    file: Path
    parquet: pyarrow.parquet.ParquetFile
    image: str
    label: str

    def __len__(self) -> int:
        return self.parquet.metadata.num_rows

    def batches(self, size: int) -> Iterator[tuple[Any, Any]]:
        """(cells of encoded images, labels) as Arrow arrays, at most `size` rows of one row group at a time.

        Arrow can't put cells with dictionaries of several row groups together.
        """
        for group in range(self.parquet.num_row_groups):
            for batch in self.parquet.iter_batches(size, row_groups=[group], columns=[self.image, self.label]):
                cells = batch.column(self.image.split(".")[0])
                yield cells.flatten()[0] if "." in self.image else cells, batch.column(self.label)


def unlabelled(file: Path, size: int, groups: Sequence[int] | None = None) -> Iterator[list[bytes]]:
    """The encoded images of a file with labels or without, at most `size` at a time; b"" for an empty cell.

    groups: numbers of row groups (None: all). Raises DataError as `open_table` does.
    """
    table = open_table(file, WITHOUT_LABELS)
    with reading(file):
        for group in range(table.parquet.num_row_groups) if groups is None else groups:
            for batch in table.parquet.iter_batches(size, row_groups=[group], columns=[table.image]):
                cells = batch.column(0)
                positions, values = values_of(cells.flatten()[0] if "." in table.image else cells)
                yield [b"" if i is None else values[i].as_py() or b"" for i in positions]


def values_of(cells: Any) -> tuple[Sequence[int | None], Any]:
    """(position in `values` of each row, distinct values) of a batch of cells: rows may share a value."""
    import pyarrow

    if pyarrow.types.is_dictionary(cells.type):
        return cells.indices.to_pylist(), cells.dictionary
    return range(len(cells)), cells


def open_table(file: Path, labels: Sequence[str]) -> EncodedTable:
    """Check the sizes in a file and open it; the column of labels is the first of `labels` that it has.

    Raises DataError if it is damaged, lacks a column, or would need far more memory than images do.
    """
    import pyarrow.parquet

    with reading(file), file.open("rb") as raw:
        metadata = pyarrow.parquet.read_metadata(raw)
        if metadata.num_rows < 0:
            raise ValueError(f"it has {metadata.num_rows:,} rows")
        path, label = _columns(file, metadata, labels)
        columns = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
        encodings: dict[str, set[int | None]] = {path: set(), label: set()}
        with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            end = count = 0
            for chunk in sorted(chunks(content), key=lambda chunk: chunk.start):
                if chunk.start < end:
                    raise ValueError("two columns overlap")
                name, end = columns[chunk.column], chunk.stop
                if name in encodings:
                    found, pages_of_chunk = _encodings(file, name, chunk, content)
                    encodings[name] |= found
                    count += pages_of_chunk
                if count > MAX_PAGES:
                    raise ValueError(f"it has more than {MAX_PAGES:,} pages")
        shared = [path] if encodings[path] & DICTIONARY else []
        return EncodedTable(
            file, pyarrow.parquet.ParquetFile(file, metadata=metadata, read_dictionary=shared), path, label)


def _columns(file: Path, metadata: pyarrow.parquet.FileMetaData, labels: Sequence[str]) -> tuple[str, str]:
    """(column of encoded images, column of labels). The other parts of an image are never read."""
    found = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    columns = {column.path: column for column in found if column.max_repetition_level == 0}
    label = next((name for name in labels if name in columns), None)
    for path in (path for name in IMAGE_COLUMNS for path in (f"{name}.bytes", name)):
        if label and path in columns and columns[path].physical_type == "BYTE_ARRAY":
            return path, label
    names = printable(", ".join(dict.fromkeys(column.path.split(".")[0] for column in found))[:200])
    wanted = "" if labels == WITHOUT_LABELS else f"{' or '.join(map(repr, labels))} and "
    raise DataError(f"{file}: received the columns {names}; expected {wanted}"
                    f"{' or '.join(map(repr, IMAGE_COLUMNS))} with encoded images")


def _encodings(file: Path, name: str, chunk: Chunk, content: mmap.mmap) -> tuple[set[int | None], int]:
    """(encodings, number of pages) of a column in a row group.

    Raises DataError if the column would need far more memory than images do.
    """
    size, count, encodings = 0, 0, set()
    for page in pages(content, chunk):
        size, count = size + page.size, count + 1
        if count > MAX_PAGES:
            break
        if size > MAX_CHUNK:
            raise DataError(f"{file}: {name} unpacks to more than {MAX_CHUNK:,} bytes in one row "
                            "group; expected fewer; write the file with smaller row groups")
        if page.encoding == DELTA_BYTE_ARRAY:
            raise DataError(f"{file}: {name} is encoded as DELTA_BYTE_ARRAY; expected plain values "
                            "or a dictionary; write the file with one of these")
        encodings.add(page.encoding)
    return encodings, count


@contextlib.contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn every error that a damaged file causes into a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: {first_line(error)}; expected a complete parquet file; download it again")
