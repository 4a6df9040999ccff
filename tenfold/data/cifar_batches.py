"""Reads the official files of CIFAR-10 and CIFAR-100: binary files and Python batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.unpickle import unpickle_arrays
from tenfold.errors import DataError

SHAPE = (32, 32, 3)
PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class Labels:
    """One kind of labels: the class names, the key of the labels in Python batches, and their column in parquet."""

    classes: Sequence[str]
    key: str
    column: str


def read_binary(path: Path, count: int, labels: Labels, position: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, 32, 32, 3] and labels int64 [count] of one official binary file.

    Each record has `kinds` labels of one byte, the wanted one at `position`, then the red, green and blue planes.
    Raises DataError if the file is missing, has another size or a label that is no class.
    """
    expected, received = count * (PIXELS + kinds), _size(path)
    if received != expected:
        raise DataError(f"{path}: received {received:,} bytes; expected {expected:,} ({count:,} images); "
                        "remove the folder and download it again")
    records = np.fromfile(path, np.uint8).reshape(count, PIXELS + kinds)
    return _images(records[:, kinds:]), _checked(path, records[:, position], labels)


def read_pickled(path: Path, count: int, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, 32, 32, 3] and labels int64 [count] of one official Python batch.

    Raises DataError if the file is missing or damaged, contains anything but arrays and plain values, or has
    another number of images.
    """
    _size(path)
    batch = unpickle_arrays(path)
    batch = {_text(key): value for key, value in batch.items()} if isinstance(batch, dict) else {}
    pixels, values = batch.get("data"), batch.get(labels.key)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (count, PIXELS):
        received = _kind(pixels)
        raise DataError(f"{path}: received {received} as 'data'; expected uint8 [{count}, {PIXELS}]; "
                        "download the official file again")
    whole = [value for value in values if type(value) is int] if isinstance(values, list) else []
    if len(whole) != count:
        received = f"{len(whole):,} whole numbers" if isinstance(values, list) else _kind(values)
        raise DataError(f"{path}: received {received} as {labels.key!r}; expected a list of {count:,}; "
                        "download the official file again")
    return _images(pixels), _checked(path, np.array(whole, dtype=object), labels)


def _images(planes: np.ndarray) -> np.ndarray:
    """uint8 [n, 3072], one colour plane after another, as uint8 [n, 32, 32, 3]."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _checked(path: Path, values: np.ndarray, labels: Labels) -> np.ndarray:
    """The labels as int64. Raises DataError if one of them is no class."""
    wrong = np.flatnonzero((values < 0) | (values >= len(labels.classes)))
    if len(wrong):
        raise DataError(f"{path}: image {wrong[0]} has the label {values[wrong[0]]}; expected 0 to "
                        f"{len(labels.classes) - 1}; the file is damaged, download it again")
    return values.astype(np.int64)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path} is missing; expected all official files in {path.parent}; "
                        "download the folder again") from None


def _kind(value: Any) -> str:
    """The type of a value in words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return "nothing" if value is None else type(value).__name__


def _text(key: object) -> object:
    return key.decode("ascii", "replace") if isinstance(key, bytes) else key
