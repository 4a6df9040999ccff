"""Tables: a column of paths of images and one of labels, or the pixels themselves in columns."""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset, LeftOut
from tenfold.data.images import SUFFIXES, printable
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import ROLES, Arrays, Files, Listing, class_names, file_signature, some
from tenfold.data.own.pixels import is_pixel_table, read_pixels
from tenfold.data.own.places import existing, path_name
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError, UsageError, unknown
from tenfold.recipe import DataSection
from tenfold.registry import DATASETS

LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "y", "species", "breed",
          "diagnosis", "finding")
PATH_COLUMNS = ("image", "image_path", "img", "path", "file", "filename", "file_name", "filepath")  # tried first
ENDINGS = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
NO_LABEL = {"", "nan", "na", "n/a", "null", "none", "?"}
TRIED = 30  # rows whose cells are tried as paths
MOST_BYTES = 1 << 30  # of a table of paths


@DATASETS.add("csv")
@source(where=own_files)
def table(options: str, access: Access) -> Dataset:
    """Your own images: `csv:FILE`, a table with paths and labels, or with labels and pixels.

    Paths are relative to the table or to a folder beside it, with or without the ending of the file. A column `split`
    may say train, validation or test. Raises UsageError for a missing file or column, DataError for an unsuitable
    table.
    """
    path = existing(options, "csv")
    delimiter, header = _header(path)
    listing = _list_pixels if is_pixel_table(header) else _list_paths
    return own_dataset(listing(path, delimiter, header, access.section), access)


def unlabelled(path: Path) -> np.ndarray | list[Path]:
    """The images of a table, with labels or without: uint8 [n, h, w, c] of one of pixels, else the paths in its rows.

    A path without a file is in the list too. Raises DataError.
    """
    delimiter, header = _header(path)
    if is_pixel_table(header):
        return read_pixels(path, delimiter, header).images
    rows = _rows(path, delimiter, len(header), fewest=0)
    try:
        column, files = _path_column(path, header, rows or [header], range(len(header)))
    except DataError as error:
        raise (error if rows else _empty(path)) from None
    if files.is_row(header[column].strip(), [row[column].strip() for row in rows]):
        rows.insert(0, list(header))  # the table has no line of names
    cells = [row[column].strip() for row in rows]
    return [files.root / (files.find(cell) or cell) if cell else Path(f"{path} row {number}")
            for number, cell in enumerate(cells, 1)]


def _header(path: Path) -> tuple[str, list[str]]:
    """(delimiter, cells of the first line)."""
    try:
        with path.open(encoding=_encoding(path), newline="") as file:
            line = file.readline(1 << 20)
    except (OSError, UnicodeError) as error:
        raise _unread(path, error) from None
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=line.count)
    return delimiter, [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _encoding(path: Path) -> str:
    """UTF-16 if the file begins with its mark, as Excel's "Unicode text" does; else UTF-8, with a mark or without."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _unread(path: Path, error: Exception) -> DataError:
    reason = "it is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
    return DataError(f"{path}: can't be read as a table: {reason}; expected CSV in UTF-8 (in Excel, save it as "
                     "\"CSV UTF-8\")")


def _list_pixels(path: Path, delimiter: str, header: Sequence[str], section: DataSection) -> Listing:
    pixels = read_pixels(path, delimiter, header, section.label_column)
    if pixels.labels is None:
        raise DataError(f"{path}: received pixels without labels; expected a column 'label' to train or evaluate "
                        "(or choose it with data.label_column); `tenfold predict RUN` takes such a table")
    classes = class_names(pixels.labels, str(path))
    index = {name: i for i, name in enumerate(classes)}
    count = len(pixels.images)
    return Listing(path_name(path), f"csv:{path}", f"the table {path}", classes, [f"row {i + 1}" for i in range(count)],
                   np.array([index[label] for label in pixels.labels], np.int64), np.full(count, "train"),
                   Arrays(pixels.images), file_signature([(path.name, path)]))


# ----------------------------------------------------------------------------------------------------
# paths


class _Files:
    """The files that cells name, below a folder, with or without their ending."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._inside: dict[str, set[str]] = {}  # folder → the names in it

    def find(self, cell: str) -> str | None:
        """The cell with the ending of its file, the first in `ENDINGS` of several; None if there is no such file."""
        if not cell or _exists(self.root / cell):
            return cell or None
        folder, name = os.path.split(os.path.join(self.root, cell))
        if folder not in self._inside:
            with contextlib.suppress(OSError, ValueError):
                self._inside[folder] = set(os.listdir(folder))
        inside = self._inside.setdefault(folder, set())
        return next((cell + ending for ending in ENDINGS
                     if name + ending in inside and _exists(self.root / (cell + ending))), None)

    def is_row(self, cell: str, others: Sequence[str]) -> bool:
        """Whether the first cell of a column names a file, and does it as the `others` below it do.

        The name of a column may also be that of a file but for its ending.
        """
        found = self.find(cell)
        return found is not None and (found == cell or all(self.find(each) != each for each in others[:TRIED]))


@dataclass(frozen=True)
class _Columns:
    """The positions of the columns, and the files that cells of the first one name."""

    path: int
    label: int
    split: int | None
    files: _Files


def _list_paths(path: Path, delimiter: str, header: Sequence[str], section: DataSection) -> Listing:
    rows = _rows(path, delimiter, len(header))
    columns = _columns(path, header, rows, section)
    if columns.files.is_row(header[columns.path].strip(), [row[columns.path].strip() for row in rows]):
        rows.insert(0, list(header))  # the table has no line of names
    cells = [row[columns.path].strip() for row in rows]
    labels = [row[columns.label].strip() for row in rows]
    missing = [cell for cell, label in zip(cells, labels, strict=True) if label.lower() in NO_LABEL]
    if missing:
        raise DataError(f"{path}: {len(missing):,} of {counted(len(rows), 'row')} "
                        f"{are(len(missing), 'has', 'have')} no label in the column {header[columns.label]!r} "
                        f"({some(missing)}); add the labels or remove the rows")
    unnamed = [f"row {i + 1}" for i, cell in enumerate(cells) if not cell]
    if unnamed:
        raise DataError(f"{path}: {len(unnamed):,} of {counted(len(rows), 'row')} "
                        f"{are(len(unnamed), 'has', 'have')} no path in the column {header[columns.path]!r} "
                        f"({some(unnamed)}); add the paths or remove the rows")
    splits = _splits(path, header, rows, columns.split)
    all_found = [columns.files.find(cell) for cell in cells]
    left_out, kept = _repeated(path, [name or cell for name, cell in zip(all_found, cells, strict=True)], labels)
    classes = class_names([labels[i] for i in kept], str(path))
    index = {name: i for i, name in enumerate(classes)}
    found = [(i, all_found[i]) for i in kept]
    left_out += [LeftOut(printable(cells[i]), "there is no such file") for i, name in found if name is None]
    present, names = [i for i, name in found if name is not None], [name for _, name in found if name is not None]
    root = columns.files.root
    if not present:
        raise DataError(f"{path}: none of its {counted(len(kept), 'image')} exists ({some([cells[i] for i in kept])}); "
                        f"expected paths relative to {root}")
    files = [root / name for name in names]
    return Listing(path_name(path), f"csv:{path}", f"the table {path}", classes, names,
                   np.array([index[labels[i]] for i in present], np.int64),
                   np.array([splits[i] for i in present]), Files(files),
                   file_signature([(path.name, path), *zip(names, files, strict=True)]), tuple(left_out))


def _empty(path: Path) -> DataError:
    return DataError(f"{path}: received no rows; expected a first line with the names of the columns, then a row for "
                     "each image")


def _rows(path: Path, delimiter: str, width: int, fewest: int = 1) -> list[list[str]]:
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: received {path.stat().st_size:,} bytes; expected a table of paths with at most "
                        f"{MOST_BYTES:,}")
    try:
        with path.open(encoding=_encoding(path), newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            next(reader, None)
            rows = [row for row in reader if any(row)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise _unread(path, error) from None
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != width), None)
    if wrong:
        raise DataError(f"{path}: line {wrong} has {counted(len(rows[wrong - 2]), 'cell')}; expected {width}, as in "
                        "line 1")
    if len(rows) < fewest:
        raise _empty(path)
    return rows


def _columns(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], section: DataSection) -> _Columns:
    lower = [name.lower() for name in header]
    split = next((lower.index(name) for name in SPLIT_COLUMNS if name in lower), None)
    label = _named(header, section.label_column, "data.label_column")
    if label is None:
        label = next((lower.index(name) for name in LABELS if name in lower), None)
    chosen = _named(header, section.path_column, "data.path_column")
    candidates = [chosen] if chosen is not None else [i for i in range(len(header)) if i not in (label, split)]
    column, files = _path_column(path, header, rows, candidates, "; data.path_column chooses the column")
    if label is None:
        rest = [i for i in range(len(header)) if i not in (column, split)]
        if len(rest) != 1:
            raise DataError(f"{path}: can't tell which column holds the labels: "
                            f"{printable(', '.join(header[i] for i in rest))[:200] or 'there is no other'}; choose it "
                            "with data.label_column")
        label = rest[0]
    return _Columns(column, label, split, files)


def _named(header: Sequence[str], name: str | None, key: str) -> int | None:
    if name is None:
        return None
    if name not in header:
        raise UsageError(f"{key}: {unknown('column', name, header)}")
    return list(header).index(name)


def _path_column(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]],
                 candidates: Sequence[int], advice: str = "") -> tuple[int, _Files]:
    """The column most of whose first cells name files, in the folder of the table or one below. Raises DataError."""
    folder = path.parent
    roots = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[:1] != ".")]
    best: tuple[int, int, _Files] | None = None
    candidates = sorted(candidates, key=lambda column: header[column].strip().lower() not in PATH_COLUMNS)
    for column, root in itertools.product(candidates, roots):
        cells, files = [row[column].strip() for row in rows[:TRIED]], _Files(root)
        hits = sum(files.find(cell) is not None for cell in cells)
        if hits > (best[0] if best else 0):
            best = hits, column, files
        if hits == len(cells):
            break
    if best is None:
        raise DataError(f"{path}: none of the columns {printable(', '.join(header))[:200]} holds paths of images "
                        f"(received {printable(rows[0][candidates[0]])!r}); expected paths relative to {folder} or a "
                        f"folder in it, or columns of pixels{advice}"
                        if candidates else f"{path}: received the only column {header[0]!r}; expected a column of "
                        "paths and one of labels")
    return best[1:]


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long; a null character
        return False


def _splits(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], column: int | None) -> list[str]:
    if column is None:
        return ["train"] * len(rows)
    cells = [row[column].strip() for row in rows]
    strange = sorted({cell for cell in cells if cell.lower() not in ROLES})
    if strange:
        raise DataError(f"{path}: the column {header[column]!r} holds {some(strange)}; expected train, validation and "
                        "test")
    return [ROLES[cell.lower()] for cell in cells]


def _repeated(path: Path, cells: Sequence[str], labels: Sequence[str]) -> tuple[list[LeftOut], list[int]]:
    """(rows that repeat an earlier one, numbers of the others)."""
    first: dict[str, int] = {}
    repeated, kept, torn = [], [], []
    for i, cell in enumerate(cells):
        if cell not in first:
            first[cell] = i
            kept.append(i)
        elif labels[first[cell]] == labels[i]:
            repeated.append(LeftOut(printable(cell), "it is listed twice"))
        else:
            torn.append(cell)
    if torn:
        raise DataError(f"{path}: {counted(len(torn), 'image')} {are(len(torn))} listed with different labels "
                        f"({some(torn)}); expected one label for each image")
    return repeated, kept
