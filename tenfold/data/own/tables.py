"""Parquet tables of encoded images, in one file or many, as the Hugging Face Hub has them."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset
from tenfold.data.encoded_table import EncodedTable, open_table, reading, values_of
from tenfold.data.images import printable
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import (
    MOST_OF_FILE,
    ROLES,
    Listing,
    Reader,
    class_names,
    file_signature,
    natural,
    some,
)
from tenfold.data.own.places import data_name
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError, ImageError, UsageError
from tenfold.registry import DATASETS
from tenfold.storage.paths import absent, expanded

LABELS = ("label", "labels", "fine_label", "class", "category", "target")
BATCH = 256  # rows read at a time


@DATASETS.add("parquet")
@source(where=own_files)
def parquet(options: str, access: Access) -> Dataset:
    """Your own images: `parquet:PATH`, a file, a folder or a pattern such as `data/*.parquet`.

    The tables have a column `image` or `img` of encoded images and a column of labels. Files or folders named train,
    validation or test are those splits. Raises UsageError if there is no such file, DataError for unsuitable tables.
    """
    files = _files(options)
    return own_dataset(list_tables(files, f"parquet:{options}", access), access)


def list_tables(files: Sequence[Path], uri: str, access: Access) -> Listing:
    """The listing of parquet files. Raises DataError."""
    chosen = access.section.label_column
    tables = [open_table(file, (chosen,) if chosen else LABELS) for file in files]
    labels = [_labels(table) for table in tables]
    texts = [text for each in labels for text in each]
    inside = _relative(files)
    names = [f"{file.as_posix()} row {row}" for file, each in zip(inside, labels, strict=True)
             for row in range(len(each))]
    missing = [name for name, text in zip(names, texts, strict=True) if text is None]
    if missing:
        raise DataError(f"{_words(files)}: {len(missing):,} of {counted(len(texts), 'row')} "
                        f"{are(len(missing), 'has', 'have')} no label ({some(missing)}); expected one for each image")
    known = _class_names(tables[0])
    classes = known or class_names([text for text in texts if text is not None], _words(files))
    index = {name: i for i, name in enumerate(classes)} | \
        ({str(i): i for i in range(len(classes))} if known else {})
    strange = sorted({str(text) for text in texts if text not in index})
    if strange:
        raise DataError(f"{_words(files)}: received the label {printable(strange[0])!r}; expected 0 to "
                        f"{len(classes) - 1}")
    splits = np.concatenate([np.full(len(each), _split(file)) for file, each in zip(inside, labels, strict=True)])
    signature = file_signature(zip((file.as_posix() for file in inside), files, strict=True))
    return Listing(data_name(uri), uri, _words(files), classes, names,
                   np.array([index[str(text)] for text in texts], np.int64), splits, Rows(tables), signature)


def _files(options: str) -> list[Path]:
    path = expanded(options)
    if not options:
        raise UsageError("data set parquet: received no path; expected parquet:PATH, a file, a folder or a pattern")
    candidates = path.rglob("*.parquet") if path.is_dir() else _matching(path)
    found = sorted((each for each in candidates if each.is_file()), key=lambda each: natural(str(each)))
    if not found:
        raise UsageError(f"data set parquet: {printable(options)}: no such file; expected parquet files, a folder of "
                         "them or a pattern such as 'data/*.parquet'")
    return found


def _matching(path: Path) -> list[Path]:
    """The file, or those that the pattern matches. Folders that are there are no pattern, even with brackets."""
    root = path
    while absent(root):
        root = root.parent
    rest = path.relative_to(root).as_posix()
    return [root] if rest == "." else [root / found for found in glob.glob(rest, root_dir=root, recursive=True)]


def _relative(files: Sequence[Path]) -> list[Path]:
    """The paths below the folder that holds all the files: the names of the folders above say nothing of splits."""
    above = os.path.commonpath([file.parent for file in files])
    return [file.relative_to(above) for file in files]


def _split(file: Path) -> str:
    """The split that the name of a file, or of the folder it lies in, begins with; train if none."""
    for part in (file.name, file.parent.name):
        word = part.lower().removeprefix("partial-").replace("_", "-").partition("-")[0].partition(".")[0]
        if word in ROLES:
            return ROLES[word]
    return "train"


def _labels(table: EncodedTable) -> list[str | None]:
    import pyarrow

    with reading(table.file):
        column = table.parquet.read(columns=[table.label]).column(0)
        kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
                or pyarrow.types.is_boolean(kind)):
            raise DataError(f"{table.file}: the labels in {table.label!r} are {kind}; expected whole numbers or texts")
        return [None if value is None else str(value) for value in column.to_pylist()]


def _class_names(table: EncodedTable) -> tuple[str, ...]:
    """The class names in the metadata that the Hub's library writes; none if they are missing or damaged."""
    try:
        metadata = table.parquet.schema_arrow.metadata or {}
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][table.label]
        names = feature["names"] if "names" in feature else feature["feature"]["names"]
        return tuple(map(str, names)) if isinstance(names, list) and len(set(map(str, names))) == len(names) else ()
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()


def _words(files: Sequence[Path]) -> str:
    return f"the table {files[0]}" if len(files) == 1 else f"{len(files)} tables in {os.path.commonpath(files)}"


class Rows(Reader):
    """Reads the encoded images in order of the files and rows; an earlier row starts from the beginning."""

    sequential = True

    def __init__(self, tables: Sequence[EncodedTable]) -> None:
        self._tables, self._count = tables, sum(map(len, tables))
        self._stream: Iterator[Any] = iter(())
        self._next = self._count

    def __len__(self) -> int:
        return self._count

    def read(self, number: int) -> bytes:
        if number < self._next:
            self._stream, self._next = self._contents(), 0
        while self._next < number:
            next(self._stream)
            self._next += 1
        self._next += 1
        content = next(self._stream)
        if content is None:
            raise ImageError("it can't be read: the cell is empty")
        if content.size > MOST_OF_FILE:
            raise ImageError(f"it has {content.size:,} bytes; expected at most {MOST_OF_FILE:,}")
        return content.to_pybytes()

    def _contents(self) -> Iterator[Any]:
        for table in self._tables:
            with reading(table.file):
                for cells, _ in table.batches(BATCH):
                    numbers, values = values_of(cells)
                    for number in numbers:
                        yield None if number is None else values[number].as_buffer()
        raise DataError(f"{self._tables[-1].file}: has fewer rows than it says; expected a complete parquet file")
