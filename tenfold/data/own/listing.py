"""A listing: the labelled images of a source of own images, before they are decoded."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tenfold.data.dataset import LeftOut
from tenfold.data.images import printable
from tenfold.errors import DataError

Content = bytes | np.ndarray  # an encoded image, or uint8 [h, w, c]
MOST_CLASSES = 10_000
MOST_OF_FILE = 256 << 20  # bytes of one encoded image
NAMES_SHOWN = 3  # in an error about many images
DIGITS = re.compile("([0-9]+)")
ROLES = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
         "dev": "validation", "test": "test", "testing": "test"}  # names of splits in folders, files and tables


class Reader(Protocol):
    """Reads the content of the images of a listing. A sequential reader is fast only in ascending order."""

    @property
    def sequential(self) -> bool: ...

    def __len__(self) -> int: ...

    def read(self, number: int) -> Content:
        """The content of an image. Raises ImageError if this image can't be read, DataError if the source can't."""
        ...


@dataclass(frozen=True)
class Listing:
    """Labelled images of a source, in the order in which its reader is fast.

    names: a name for each image (a path, or a row of a table); labels: int64 [n]; splits: "train", "validation" or
    "test" for each image; signature: changes when the content changes; left_out: files that are not used; ordered:
    whether the names are in natural order.
    """

    name: str
    uri: str
    words: str
    classes: tuple[str, ...]
    names: Sequence[str]
    labels: np.ndarray
    splits: np.ndarray
    reader: Reader
    signature: str
    left_out: tuple[LeftOut, ...] = ()
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.labels)


def class_names(labels: Iterable[str], where: str) -> tuple[str, ...]:
    """The distinct labels in natural order ("2" before "10").

    Raises DataError for fewer than 2 or too many, and for one with line breaks or bytes that are no text.
    """
    classes = tuple(sorted(set(labels), key=natural))
    odd = next((name for name in classes if not name.isprintable()), None)
    if odd is not None:
        raise DataError(f"{where}: received the class {printable(odd)!r}, whose name has characters that can't be "
                        "printed; rename it")
    if not 2 <= len(classes) <= MOST_CLASSES:
        found = f"one class, {classes[0]!r}" if len(classes) == 1 else f"{len(classes):,} classes"
        raise DataError(f"{where}: received {found}; expected 2 to {MOST_CLASSES:,} classes")
    return classes


def natural(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that compares numbers by value: "frame-10" comes after "frame-9"."""
    parts = DIGITS.split(text)  # text, digits, text, …; digits are compared as text, because they may be of any length
    key = [(0, len(part := each.lstrip("0")), part) if i % 2 else (1, 0, each) for i, each in enumerate(parts) if each]
    return key, text


def file_signature(files: Iterable[tuple[str, str | Path]]) -> str:
    """SHA-256 (hex) of the names, sizes and times of files: it changes when a file is written again."""
    digest = hashlib.sha256()
    for name, path in files:
        try:
            status = os.stat(path)
        except OSError as error:  # it was there a moment ago
            raise DataError(f"{printable(path)}: can't be read: {error.strerror}; open the images again") from None
        facts = f"[{json.dumps(printable(name))}, {status.st_size}, {status.st_mtime_ns}, {status.st_ctime_ns}]"
        digest.update(facts.encode())
    return digest.hexdigest()


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:NAMES_SHOWN])
    return f"{shown} and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else shown


@dataclass(frozen=True)
class Files:
    """Reads image files."""

    paths: Sequence[str | Path]
    sequential: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, number: int) -> bytes:
        from tenfold.data.images import file_bytes

        return file_bytes(self.paths[number], MOST_OF_FILE)


@dataclass(frozen=True)
class Arrays:
    """Images that are already decoded: uint8 [n, h, w, c]."""

    images: np.ndarray
    sequential: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def read(self, number: int) -> np.ndarray:
        return self.images[number]
