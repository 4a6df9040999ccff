"""Pickles of images and labels: Kaggle's preprocessed CIFAR-10 and the batches of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.own.arrays import list_arrays
from tenfold.data.own.build import own_dataset
from tenfold.data.own.places import existing
from tenfold.data.source import Access, own_files, source
from tenfold.data.unpickle import unpickle_arrays
from tenfold.errors import DataError, type_of
from tenfold.registry import DATASETS

MOST_BYTES = 4 << 30  # CIFAR-10 as decimals of 8 bytes has 1.5 GB
BATCH_LABELS = ("labels", "fine_labels", "coarse_labels")


@DATASETS.add("pickle")
@source(where=own_files)
def pickle(options: str, access: Access) -> Dataset:
    """Your own images: `pickle:FILE` of arrays x_train, y_train and so on, or a batch of CIFAR.

    It is read without running the pickle. Raises UsageError for a missing file, DataError for an unsuitable one.
    """
    path = existing(options, "pickle")
    content = unpickle_arrays(path, MOST_BYTES)
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: received {type_of(content)}; expected a dictionary of arrays")
    return own_dataset(list_arrays(path, "pickle", _batch(path, _texts(content))), access)


def _texts(content: Mapping[Any, Any]) -> dict[str, Any]:
    """The dictionary with text keys, and lists of names as text: Python 2 wrote bytes."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, list) and value and all(isinstance(each, bytes) for each in value):
            value = [each.decode("latin-1") for each in value]
        found[key.decode("latin-1") if isinstance(key, bytes) else str(key)] = value
    return found


def _batch(path: Path, arrays: dict[str, Any]) -> dict[str, Any]:
    """A batch of CIFAR (`data` [n, 3072] by channels, and labels) as images and labels; others as they are."""
    data, labels = arrays.get("data"), next((arrays[name] for name in BATCH_LABELS if name in arrays), None)
    if not isinstance(data, np.ndarray) or labels is None or data.ndim != 2:
        return arrays
    if data.shape[1] != 3072:
        raise DataError(f"{path}: data is {data.dtype} {list(data.shape)}; expected [n, 3072] as in a batch of CIFAR")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return {"images": images, "labels": labels}
