"""CIFAR-10 (Krizhevsky, 2009, "Learning multiple layers of features from tiny images") in all common layouts:
the official binary and Python batches, Hugging Face parquet and the Keras cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.fetch import Archive, extract
from tenfold.data.location import ADVICE, keras_cache
from tenfold.data.options import take_no_options
from tenfold.data.parquet import find_parquet, read_splits
from tenfold.data.source import Access, Place, source
from tenfold.data.unpickle import unpickle_arrays
from tenfold.errors import DataError
from tenfold.progress import Watcher
from tenfold.registry import DATASETS
from tenfold.storage.locks import lock_path, locked

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (32, 32, 3)
PIXELS = 32 * 32 * 3
BATCH = 10_000  # images in each of the official files
TRAIN_BATCHES = 5

BINARY = "cifar-10-batches-bin"
PICKLED = "cifar-10-batches-py"
PARQUET = ("cifar10/plain_text", "plain_text", "cifar10")
BINARY_FILES = (*(f"data_batch_{i + 1}.bin" for i in range(TRAIN_BATCHES)), "test_batch.bin")
PICKLED_FILES = (*(f"data_batch_{i + 1}" for i in range(TRAIN_BATCHES)), "test_batch")

ARCHIVE = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    size=170_052_171,
)


def where_cifar(root: Path) -> str | None:
    """The location of CIFAR-10, None if it is not on this machine."""
    place = locate_cifar(root)
    return str(place.path) if place else None


@DATASETS.add("cifar10")
@source(where=where_cifar)
def cifar10(options: str, access: Access) -> Dataset:
    """CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes.

    Looks in the root for `cifar-10-batches-bin/`, `cifar-10-batches-py/` and Hugging Face parquet, then in the
    Keras cache. If none is found and downloads are allowed, downloads the binary version into the root.
    Raises UsageError for options, DataError for missing or damaged files, FetchError, StorageError.
    """
    take_no_options("cifar10", options)
    return open_cifar(access)


def open_cifar(access: Access, archive: Archive = ARCHIVE, batch: int = BATCH) -> Dataset:
    """Open CIFAR-10 from the first place that has it; `batch` is the number of images in each official file."""
    place = locate_cifar(access.root)
    if place is None and access.fetch:
        fetch_cifar(access, archive)
        place = locate_cifar(access.root)
    if place is None:
        raise DataError(f"cifar10 is not in {access.root}; expected {BINARY}/, {PICKLED}/ or "
                        f"{PARQUET[0]}/*.parquet there; run 'tenfold data fetch cifar10' "
                        f"({archive.size / 1e6:.0f} MB) or set TENFOLD_DATA")
    if place.layout == "parquet":
        access.watcher.notice(f"reading cifar10 from {place.path}")
        return _from_parquet(place, batch, access.watcher)
    return _from_batches(place, batch)


def locate_cifar(root: Path) -> Place | None:
    """The first copy of CIFAR-10 in `root` or the Keras cache, None if there is none."""
    for layout in (BINARY, PICKLED):
        if (root / layout).is_dir():
            return Place(layout, root / layout, layout)
    for folder in PARQUET:
        if find_parquet(root / folder, "train"):
            return Place("parquet", root / folder, folder)
    for path in (keras_cache() / PICKLED, keras_cache() / f"{PICKLED}-target" / PICKLED):
        if (path / PICKLED_FILES[0]).is_file():
            return Place(PICKLED, path, f"Keras' cache, {PICKLED}")
    return None


def fetch_cifar(access: Access, archive: Archive = ARCHIVE) -> Path:
    """Download and unpack the binary version into the root; return its folder.

    Raises FetchError or StorageError.
    """
    folder, local = access.root / BINARY, access.root / archive.name
    kept = local.exists()  # the user put it there, so keep it
    archive.fetch(access.root, access)
    with locked(lock_path(folder), advice=ADVICE):
        extract(local, [f"{BINARY}/{name}" for name in BINARY_FILES], folder)
    if not kept:
        local.unlink(missing_ok=True)
    return folder


def read_binary(path: Path, count: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, 32, 32, 3] and labels int64 [count] of one official binary file.

    Each record is a label and the red, green and blue planes. Raises DataError if the file is missing,
    has another size or a label above 9.
    """
    expected, received = count * (PIXELS + 1), _size(path)
    if received != expected:
        raise DataError(f"{path}: received {received:,} bytes; expected {expected:,} ({count:,} images); "
                        "remove the folder and download it again")
    records = np.fromfile(path, np.uint8).reshape(count, PIXELS + 1)
    return _images(records[:, 1:]), _labels(path, records[:, 0])


def read_pickled(path: Path, count: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, 32, 32, 3] and labels int64 [count] of one official Python batch.

    Raises DataError if the file is missing or damaged, contains anything but arrays and plain values, or has
    another number of images.
    """
    _size(path)
    batch = unpickle_arrays(path)
    batch = {_text(key): value for key, value in batch.items()} if isinstance(batch, dict) else {}
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (count, PIXELS):
        received = _kind(pixels)
        raise DataError(f"{path}: received {received} as 'data'; expected uint8 [{count}, {PIXELS}]; "
                        "download the official file again")
    whole = [label for label in labels if type(label) is int] if isinstance(labels, list) else []
    if len(whole) != count:
        received = f"{len(whole):,} whole numbers" if isinstance(labels, list) else _kind(labels)
        raise DataError(f"{path}: received {received} as 'labels'; expected a list of {count:,}; "
                        "download the official file again")
    return _images(pixels), _labels(path, np.array(whole, dtype=object))


def _from_batches(place: Place, batch: int) -> Dataset:
    """The data set from a folder with the six official files."""
    read, files = (read_binary, BINARY_FILES) if place.layout == BINARY else (read_pickled, PICKLED_FILES)
    *train_files, test_file = files
    batches = [read(place.path / name, batch) for name in train_files]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    test_images, test_labels = read(place.path / test_file, batch)
    train = Split(images, labels, Provenance(f"official train split ({place.words})", len(images)))
    test = Split(test_images, test_labels, Provenance(f"official test split ({place.words})", batch))
    return Dataset("cifar10", "cifar10", CLASSES, train=train, test=test)


def _from_parquet(place: Place, batch: int, watcher: Watcher) -> Dataset:
    """The data set from parquet files. Its splits may be partial."""
    splits = read_splits(place, SHAPE, len(CLASSES), {"train": TRAIN_BATCHES * batch, "test": batch},
                         watcher)
    return Dataset("cifar10", "cifar10", CLASSES, train=splits["train"], test=splits["test"])


def _images(planes: np.ndarray) -> np.ndarray:
    """uint8 [n, 3072], one colour plane after another, as uint8 [n, 32, 32, 3]."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _labels(path: Path, labels: np.ndarray) -> np.ndarray:
    """The labels as int64. Raises DataError if a label is outside 0 to 9."""
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))
    if len(wrong):
        raise DataError(f"{path}: image {wrong[0]} has the label {labels[wrong[0]]}; expected 0 to "
                        f"{len(CLASSES) - 1}; the file is damaged, download it again")
    return labels.astype(np.int64)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path} is missing; expected the {len(BINARY_FILES)} official files in "
                        f"{path.parent}; download the folder again") from None


def _kind(value: Any) -> str:
    """The type of a value in words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return "nothing" if value is None else type(value).__name__


def _text(key: object) -> object:
    return key.decode("ascii", "replace") if isinstance(key, bytes) else key
