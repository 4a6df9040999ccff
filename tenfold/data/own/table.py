"""Tables: a column of paths of images and one of labels, or the pixels themselves in columns."""

from __future__ import annotations

import csv
import itertools
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


def pixel_rows(path: Path) -> np.ndarray:
    """The images of a table of pixels, uint8 [n, h, w, c], whether it has labels or not. Raises DataError."""
    delimiter, header = _header(path)
    if not is_pixel_table(header):
        raise DataError(f"{path}: received the columns {printable(', '.join(header))[:200]}; expected pixels in "
                        "columns, such as pixel0, pixel1, …")
    return read_pixels(path, delimiter, header).images


def _header(path: Path) -> tuple[str, list[str]]:
    """(delimiter, cells of the first line)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}; "
                        "expected a CSV file") from None
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=line.count)
    return delimiter, [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


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


@dataclass(frozen=True)
class _Columns:
    """The positions of the columns, and how cells become paths."""

    path: int
    label: int
    split: int | None
    root: Path
    ending: str


def _list_paths(path: Path, delimiter: str, header: Sequence[str], section: DataSection) -> Listing:
    rows = _rows(path, delimiter, len(header))
    columns = _columns(path, header, rows, section)
    if _exists(columns.root / (header[columns.path] + columns.ending)):
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
    left_out, kept = _repeated(path, cells, labels)
    classes = class_names([labels[i] for i in kept], str(path))
    index = {name: i for i, name in enumerate(classes)}
    names = [cells[i] + columns.ending for i in kept]
    files = [columns.root / name for name in names]
    present: list[int] = []
    absent: list[int] = []
    for i, file in enumerate(files):
        (present if _exists(file) else absent).append(i)
    if not present:
        raise DataError(f"{path}: none of its {counted(len(files), 'image')} exists ({some(names)}); expected paths "
                        f"relative to {columns.root}")
    left_out += [LeftOut(printable(names[i]), "there is no such file") for i in absent]
    chosen = [files[i] for i in present]
    return Listing(path_name(path), f"csv:{path}", f"the table {path}", classes, [names[i] for i in present],
                   np.array([index[labels[kept[i]]] for i in present], np.int64),
                   np.array([splits[kept[i]] for i in present]), Files(chosen),
                   file_signature([(path.name, path), *((names[i], files[i]) for i in present)]), tuple(left_out))


def _rows(path: Path, delimiter: str, width: int) -> list[list[str]]:
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: received {path.stat().st_size:,} bytes; expected a table of paths with at most "
                        f"{MOST_BYTES:,}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            next(reader, None)
            rows = [row for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: can't be read as a table: {error}; expected CSV in UTF-8") from None
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != width), None)
    if wrong:
        raise DataError(f"{path}: line {wrong} has {counted(len(rows[wrong - 2]), 'cell')}; expected {width}, as in "
                        "line 1")
    if not rows:
        raise DataError(f"{path}: received no rows; expected a first line with the names of the columns, then a row "
                        "for each image")
    return rows


def _columns(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], section: DataSection) -> _Columns:
    lower = [name.lower() for name in header]
    split = next((lower.index(name) for name in SPLIT_COLUMNS if name in lower), None)
    label = _named(header, section.label_column, "data.label_column")
    if label is None:
        label = next((lower.index(name) for name in LABELS if name in lower), None)
    chosen = _named(header, section.path_column, "data.path_column")
    candidates = [chosen] if chosen is not None else [i for i in range(len(header)) if i not in (label, split)]
    found = _find_paths(path.parent, rows, candidates)
    if found is None:
        raise DataError(f"{path}: none of the columns {printable(', '.join(header))[:200]} holds paths of images "
                        f"(received {printable(rows[0][candidates[0]])!r}); expected paths relative to {path.parent} "
                        "or a folder in it, or columns of pixels; data.path_column chooses the column"
                        if candidates else f"{path}: received the only column {header[0]!r}; expected a column of "
                        "paths and one of labels")
    column, root, ending = found
    if label is None:
        rest = [i for i in range(len(header)) if i not in (column, split)]
        if len(rest) != 1:
            raise DataError(f"{path}: can't tell which column holds the labels: "
                            f"{printable(', '.join(header[i] for i in rest))[:200] or 'there is no other'}; choose it "
                            "with data.label_column")
        label = rest[0]
    return _Columns(column, label, split, root, ending)


def _named(header: Sequence[str], name: str | None, key: str) -> int | None:
    if name is None:
        return None
    if name not in header:
        raise UsageError(f"{key}: {unknown('column', name, header)}")
    return list(header).index(name)


def _find_paths(
    folder: Path, rows: Sequence[Sequence[str]], candidates: Sequence[int]
) -> tuple[int, Path, str] | None:
    """(column, folder, ending) for which most of the first cells name files; None if there is none."""
    roots = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[:1] != ".")]
    best: tuple[int, int, Path, str] | None = None
    for column, root in itertools.product(candidates, roots):
        cells = [row[column].strip() for row in rows[:TRIED]]
        for ending in ("", *SUFFIXES, *(suffix.upper() for suffix in SUFFIXES[:3])):
            hits = sum(_exists(root / (cell + ending)) for cell in cells if cell)
            if hits and (best is None or hits > best[0]):
                best = hits, column, root, ending
            if hits == len(cells):
                return column, root, ending
    return best[1:] if best else None


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
