"""Tables of encoded images, as the Hugging Face Hub keeps image data sets: parquet files with an image
column `{bytes, path}` and a column `label`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Provenance, Split
from tenfold.data.source import Place
from tenfold.errors import DataError

if TYPE_CHECKING:
    import pyarrow.parquet

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMN = "label"
BATCH = 1000  # rows decoded at a time
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MODES = {1: "L", 3: "RGB"}


def find_parquet(folder: Path, split: str) -> list[Path]:
    """The files `SPLIT-*.parquet` in a folder, in order of their names."""
    return sorted(folder.glob(f"{split}-*.parquet"))


def read_splits(
    place: Place, shape: tuple[int, int, int], classes: int, counts: Mapping[str, int]
) -> dict[str, Split]:
    """The splits that `counts` names with their official numbers of images, each as much as there is.

    Raises DataError as `read_parquet` does, and if a split has no file.
    """
    splits = {}
    for name, count in counts.items():
        files = find_parquet(place.path, name)
        if not files:
            raise DataError(f"{place.path}: there is no {name}-*.parquet; expected files for "
                            f"{' and '.join(counts)}; get the folder again")
        images, labels = read_parquet(files, shape, classes, most=count)
        provenance = Provenance(f"official {name} split ({place.words}/{name}-*.parquet)", count)
        splits[name] = Split(images, labels, provenance)
    return splits


def read_parquet(
    files: Sequence[Path], shape: tuple[int, int, int], classes: int, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, height, width, channels] of `shape`, and labels int64 [n], of all `files` in order.

    Images of another colour mode are converted (grey to RGB, say); another size is a mistake.
    Raises DataError, with the file and the row, if a file is damaged, lacks a column, holds labels
    outside 0 to `classes` - 1, unreadable images or images of another size, or if there are more than
    `most` rows.
    """
    tables = [_open(file) for file in files]
    rows = sum(table.metadata.num_rows for table in tables)
    if most is not None and rows > most:
        raise DataError(f"{_names(files)}: received {rows:,} images; expected at most {most:,}; "
                        "remove the files that do not belong there")
    images, labels = np.empty((rows, *shape), np.uint8), np.empty(rows, np.int64)
    start = 0
    for file, table in zip(files, tables, strict=True):
        start = _read(file, table, images, labels, start, classes)
    return images, labels


def _open(file: Path) -> pyarrow.parquet.ParquetFile:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(file, error) from None


def _read(
    file: Path, table: pyarrow.parquet.ParquetFile, images: np.ndarray, labels: np.ndarray, start: int,
    classes: int,
) -> int:
    """Fill `images` and `labels` from row `start` on with the rows of one file; return the next row."""
    import pyarrow

    columns = table.schema_arrow.names
    image_column = next((name for name in IMAGE_COLUMNS if name in columns), None)
    if image_column is None or LABEL_COLUMN not in columns:
        raise DataError(f"{file}: received the columns {', '.join(columns)}; expected {LABEL_COLUMN!r} and "
                        f"one of {' or '.join(map(repr, IMAGE_COLUMNS))}")
    first = start
    try:
        for batch in table.iter_batches(BATCH, columns=[image_column, LABEL_COLUMN]):
            row = start - first
            labels[start : start + len(batch)] = _labels(file, row, batch.column(LABEL_COLUMN), classes)
            for i, cell in enumerate(batch.column(image_column).to_pylist()):
                images[start + i] = _decode(file, row + i, cell, images.shape[1:])
            start += len(batch)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(file, error) from None
    return start


def _labels(file: Path, row: int, column: Any, classes: int) -> np.ndarray:
    """The labels of a batch that starts at `row`, checked."""
    import pyarrow

    if not pyarrow.types.is_integer(column.type):
        raise DataError(f"{file}: labels are {column.type}; expected whole numbers")
    received = np.asarray(column.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    wrong = np.flatnonzero((received < 0) | (received >= classes))
    if len(wrong):
        raise DataError(f"{file}, row {row + wrong[0]}: received the label {received[wrong[0]]}; "
                        f"expected 0 to {classes - 1}")
    return received


def _decode(file: Path, row: int, cell: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels, uint8 of `shape`, of one encoded image."""
    from PIL import Image

    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{file}, row {row}: there are no image bytes; expected an encoded image in each row")
    height, width, channels = shape
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.size != (width, height):
            raise DataError(f"{file}, row {row}: the image has {image.width}×{image.height} pixels; "
                            f"expected {width}×{height}")
        if image.mode != MODES[channels]:
            image = image.convert(MODES[channels])
        return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}, row {row}: no readable image ({error}); "
                        f"expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; get the file again") from None


def _damaged(file: Path, error: Exception) -> DataError:
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(f"{file}: {first_line}; expected a complete parquet file; get it again")


def _names(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
