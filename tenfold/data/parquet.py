"""Reads image data sets in the format of the Hugging Face Hub: parquet files with a column of encoded images
`{bytes, path}` and a column `label`."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Provenance, Split
from tenfold.data.images import printable, read_image
from tenfold.data.pages import Chunk, chunks, pages
from tenfold.data.source import Place
from tenfold.errors import DataError, ImageError, first_line
from tenfold.progress import SILENT, Watcher

if TYPE_CHECKING:
    import pyarrow.parquet

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMN = "label"
BATCH = 1000  # rows read at a time
MAX_CHUNK = 160 << 20  # unpacked bytes of a column in one row group; reading needs four times as much memory
MAX_PAGES = 100_000  # in all columns of a file; official files have a few hundred
MAX_CELL = 1 << 20  # bytes of one encoded image, plus 8 per pixel
DICTIONARY = {2, 8}  # encodings that store equal values once
DELTA_BYTE_ARRAY = 7  # an encoding in which a few bytes can expand to a thousand long values with a common prefix


def find_parquet(folder: Path, split: str) -> list[Path]:
    """The files `SPLIT-*.parquet` in a folder, sorted by name."""
    return sorted(path for path in folder.glob(f"{split}-*.parquet") if path.is_file())


def read_splits(
    place: Place, shape: tuple[int, int, int], classes: int, counts: Mapping[str, int], watcher: Watcher = SILENT,
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
        images, labels = read_parquet(files, shape, classes, most=count, watcher=watcher)
        provenance = Provenance(f"official {name} split ({place.words}/{name}-*.parquet)", count)
        splits[name] = Split(images, labels, provenance)
    return splits


def read_parquet(
    files: Sequence[Path], shape: tuple[int, int, int], classes: int, most: int, watcher: Watcher = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """Read all `files` in order: images uint8 [n, height, width, channels] of `shape` and labels int64 [n].

    Images in another colour mode are converted, for example grey to RGB; another size is an error.
    Raises DataError, with the file and the row, if a file is damaged, lacks a column, or has labels outside 0 to
    `classes` - 1, unreadable images or images of another size. Also raises it if a file would need far more memory
    than its images, or if there are more than `most` rows. Reports progress to the watcher every thousand images.
    """
    tables = [_open(file) for file in files]
    rows = sum(table.metadata.num_rows for table in tables)
    if rows > most:
        raise DataError(f"{_names(files)}: received {rows:,} images; expected at most {most:,}; "
                        "remove the extra files")
    images, labels = np.empty((rows, *shape), np.uint8), np.empty(rows, np.int64)
    start = 0
    for file, table in zip(files, tables, strict=True):
        with _reading(file):
            start = _read(file, table, images, labels, start, classes, watcher)
    if start < rows:
        raise DataError(f"{_names(files)}: received {start:,} rows; expected {rows:,}; download the files again")
    return images, labels


def _open(file: Path) -> pyarrow.parquet.ParquetFile:
    """Check the sizes in the file and open it. Values that many rows share are unpacked only once."""
    import pyarrow.parquet

    with _reading(file), file.open("rb") as raw:
        metadata = pyarrow.parquet.read_metadata(raw)
        if metadata.num_rows < 0:
            raise ValueError(f"it has {metadata.num_rows:,} rows")
        path = _image_column(file, metadata)
        columns = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
        encodings: dict[str, set[int | None]] = {path: set(), LABEL_COLUMN: set()}
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
        return pyarrow.parquet.ParquetFile(file, metadata=metadata, read_dictionary=shared)


def _image_column(file: Path, metadata: pyarrow.parquet.FileMetaData) -> str:
    """The column of encoded images, such as "image.bytes". The other parts of an image are never read."""
    found = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    columns = {column.path: column for column in found if column.max_repetition_level == 0}
    for path in (path for name in IMAGE_COLUMNS for path in (f"{name}.bytes", name)):
        if path in columns and columns[path].physical_type == "BYTE_ARRAY" and LABEL_COLUMN in columns:
            return path
    names = printable(", ".join(dict.fromkeys(column.path.split(".")[0] for column in found))[:200])
    raise DataError(f"{file}: received the columns {names}; "
                    f"expected {LABEL_COLUMN!r} and one of {' or '.join(map(repr, IMAGE_COLUMNS))} with encoded images")


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


def _read(
    file: Path, table: pyarrow.parquet.ParquetFile, images: np.ndarray, labels: np.ndarray, start: int,
    classes: int, watcher: Watcher,
) -> int:
    """Read one file into `images` and `labels`, from row `start` on; return the next free row."""
    path = _image_column(file, table.metadata)
    first = start
    for batch in table.iter_batches(BATCH, columns=[path, LABEL_COLUMN]):
        row, stop = start - first, start + len(batch)
        labels[start:stop] = _labels(file, row, batch.column(LABEL_COLUMN), classes)
        cells = batch.column(path.split(".")[0])
        _fill(file, row, cells.flatten()[0] if "." in path else cells, images[start:stop])
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
    import pyarrow

    shape = images.shape[1:]
    most = 8 * shape[0] * shape[1] + MAX_CELL
    shared = pyarrow.types.is_dictionary(cells.type)
    numbers, values = (cells.indices.to_pylist(), cells.dictionary) if shared else (range(len(cells)), cells)
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
                decoded[number] = read_image(content.to_pybytes(), shape, resize=False)
            except ImageError as error:
                raise DataError(f"{file}, row {row + i}: {error}; download the file again") from None
        images[i] = decoded[number]


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn every error that a damaged file causes into a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: {first_line(error)}; expected a complete parquet file; download it again")


def _names(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
