"""Reads image data sets in the format of the Hugging Face Hub: parquet files with a column of encoded images
`{bytes, path}` and a column `label`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import Provenance, Split
from tenfold.data.encoded_table import EncodedTable, open_table, reading, values_of
from tenfold.data.images import read_image
from tenfold.data.source import Place
from tenfold.errors import DataError, ImageError
from tenfold.progress import SILENT, Watcher

BATCH = 1000  # rows read at a time
MAX_CELL = 1 << 20  # bytes of one encoded image, plus 8 per pixel


def find_parquet(folder: Path, split: str) -> list[Path]:
    """The files `SPLIT-*.parquet` in a folder, sorted by name."""
    return sorted(path for path in folder.glob(f"{split}-*.parquet") if path.is_file())


def read_splits(
    place: Place, shape: tuple[int, int, int], classes: int, counts: Mapping[str, int], watcher: Watcher = SILENT,
    label: str = "label",
) -> dict[str, Split]:
    """Read one split for each name in `counts`, which gives the official numbers of images. Splits may be partial.

    Raises DataError if a split has no file, and in the cases of `read_parquet`.
    """
    splits = {}
    for name, count in counts.items():
        files = find_parquet(place.path, name)
        if not files:
            raise DataError(f"{place.path}: no {name}-*.parquet in this folder; expected files for "
                            f"{' and '.join(counts)}; download the folder again")
        images, labels = read_parquet(files, shape, classes, most=count, watcher=watcher, label=label)
        provenance = Provenance(f"official {name} split ({place.words}/{name}-*.parquet)", count)
        splits[name] = Split(images, labels, provenance)
    return splits


def read_parquet(
    files: Sequence[Path], shape: tuple[int, int, int], classes: int, most: int, watcher: Watcher = SILENT,
    label: str = "label",
) -> tuple[np.ndarray, np.ndarray]:
    """Read all `files` in order: images uint8 [n, height, width, channels] of `shape` and labels int64 [n].

    `label` names the column of labels. Images in another colour mode are converted, for example grey to RGB; another
    size is an error. Raises DataError, with the file and the row, if a file is damaged, lacks a column, or has labels
    outside 0 to `classes` - 1, unreadable images or images of another size. Also raises it if a file would
    need far more memory than its images, or if there are more than `most` rows. Reports progress
    to the watcher every thousand images.
    """
    tables = [open_table(file, (label,)) for file in files]
    rows = sum(map(len, tables))
    if rows > most:
        raise DataError(f"{_names(files)}: received {rows:,} images; expected at most {most:,}; "
                        "remove the extra files")
    images, labels = np.empty((rows, *shape), np.uint8), np.empty(rows, np.int64)
    start = 0
    for table in tables:
        with reading(table.file):
            start = _read(table, images, labels, start, classes, watcher)
    if start < rows:
        raise DataError(f"{_names(files)}: received {counted(start, 'row')}; expected {rows:,}; download the files "
                        "again")
    return images, labels


def _read(
    table: EncodedTable, images: np.ndarray, labels: np.ndarray, start: int, classes: int, watcher: Watcher,
) -> int:
    """Read one file into `images` and `labels`, from row `start` on; return the next free row."""
    first = start
    for cells, column in table.batches(BATCH):
        row, stop = start - first, start + len(column)
        labels[start:stop] = _labels(table.file, row, column, classes)
        _fill(table.file, row, cells, images[start:stop])
        start = stop
        watcher.advance("decode", start, len(images), "images")
    return start


def _labels(file: Path, row: int, column: Any, classes: int) -> np.ndarray:
    """The checked labels of a batch that starts at `row` of the file."""
    import pyarrow

    if not pyarrow.types.is_integer(column.type):
        raise DataError(f"{file}: labels are {column.type}; expected whole numbers")
    if column.null_count:
        missing = row + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{file}, row {missing}: has no label; expected 0 to {classes - 1}")
    received = column.to_numpy()  # in its own type, because it may hold numbers up to 2^64
    wrong = np.flatnonzero((received < 0) | (received >= classes))
    if len(wrong):
        raise DataError(f"{file}, row {row + wrong[0]}: received the label {received[wrong[0]]}; "
                        f"expected 0 to {classes - 1}")
    return received.astype(np.int64)


def _fill(file: Path, row: int, cells: Any, images: np.ndarray) -> None:
    """Decode a batch that starts at `row` of the file into `images`; an image that several rows share only once."""
    shape = images.shape[1:]
    most = 8 * shape[0] * shape[1] + MAX_CELL
    numbers, values = values_of(cells)
    decoded: dict[int | None, np.ndarray] = {}
    for i, number in enumerate(numbers):
        if number not in decoded:
            content = None if number is None else values[number].as_buffer()
            if content is None:
                raise DataError(f"{file}, row {row + i}: has no image bytes; expected an encoded image")
            if content.size > most:
                raise DataError(f"{file}, row {row + i}: received an image of {content.size:,} bytes; expected at most "
                                f"{most:,}; download the file again")
            try:
                decoded[number] = read_image(content.to_pybytes(), shape, resize=None)
            except ImageError as error:
                raise DataError(f"{file}, row {row + i}: {error}; download the file again") from None
        images[i] = decoded[number]


def _names(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
