"""Arrays of images by name, as in npz files and pickles: checked and brought to uint8 [n, h, w, c]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.images import values_in_words
from tenfold.data.own.listing import Arrays, Listing, class_names, file_signature
from tenfold.data.own.places import path_name
from tenfold.errors import DataError

# Names of the images and the labels of each split: those of Keras, of MedMNIST, of Kaggle's CIFAR-10 and a plain pair.
PAIRS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y")),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("x_validation", "y_validation"),
                   ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
CLASSES = ("classes", "class_names", "label_names")
CHANNELS = (1, 3)


def list_arrays(path: Path, kind: str, arrays: Mapping[str, Any]) -> Listing:
    """The listing of arrays by name.

    Images are [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels: whole numbers from 0 to 255, or decimals
    from 0 to 1 or from 0 to 255. Labels are whole numbers or texts, [n] or [n, 1]. Raises DataError.
    """
    images, labels, splits = [], [], []
    for split, pairs in PAIRS.items():
        pair = next(((x, y) for x, y in pairs if x in arrays and y in arrays), None)
        if pair is None:
            continue
        x = to_bytes(f"{path}: {pair[0]}", _array(f"{path}: {pair[0]}", arrays[pair[0]]), arrays)
        y = to_labels(f"{path}: {pair[1]}", _array(f"{path}: {pair[1]}", arrays[pair[1]]), len(x))
        images.append(x)
        labels += y
        splits += [split] * len(x)
    if "train" not in splits:
        names = ", ".join(map(str, list(arrays)[:12]))
        raise DataError(f"{path}: received the arrays {names or 'none'}; expected x_train and y_train (and x_val, "
                        "y_val, x_test, y_test if there are any), or images and labels")
    if len({x.shape[1:] for x in images}) > 1:
        raise DataError(f"{path}: images of the splits have the shapes {', '.join(str(x.shape[1:]) for x in images)}; "
                        "expected the same")
    classes, numbers = _classes(path, arrays, labels)
    every = images[0] if len(images) == 1 else np.concatenate(images)
    return Listing(path_name(path), f"{kind}:{path}", f"the file {path}", classes,
                   [f"{split} {i}" for i, split in enumerate(splits)], numbers, np.array(splits), Arrays(every),
                   file_signature([(path.name, path)]))


def _array(where: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError):  # lists of different lengths, numbers of a thousand digits
        raise DataError(f"{where} is no array; expected numbers, or texts for labels") from None


def to_bytes(where: str, images: np.ndarray, others: Mapping[str, Any]) -> np.ndarray:
    """Images of any numeric dtype as uint8 [n, h, w, c]. Raises DataError."""
    if images.dtype.kind not in "uifb" or images.ndim not in (3, 4) or not images.size:
        raise DataError(f"{where} is {images.dtype} {list(images.shape)}; expected numbers [n, height, width, c]")
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if images.shape[3] not in CHANNELS and images.shape[1] in CHANNELS:
        images = images.transpose(0, 2, 3, 1)
    if images.shape[3] not in CHANNELS:
        raise DataError(f"{where} has {images.shape[3]} channels; expected 1 or 3")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype.kind == "f" and images.min() < 0 and "mean_image" in others:
        images = _restored(images, others)
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 255):  # NaN is not
        raise DataError(f"{where} holds {values_in_words(low, high)}; expected 0 to 255, or 0 to 1")
    scale = 255.0 if images.dtype.kind == "f" and high <= 1 else 1.0
    result = np.empty(images.shape, np.uint8)
    for i, image in enumerate(images):  # one at a time: no copy of all in float64
        result[i] = np.rint(image * scale)
    return result


def _restored(images: np.ndarray, others: Mapping[str, Any]) -> np.ndarray:
    """Images from which the mean was taken, and that were perhaps divided by the standard deviation, as they were."""
    def like(name: str) -> np.ndarray:
        value = np.asarray(others[name], np.float32)
        return value.transpose(1, 2, 0) if value.ndim == 3 and value.shape[0] in CHANNELS \
            and value.shape[2] not in CHANNELS else value

    try:
        spread = like("std_image") if "std_image" in others else np.float32(1)
        restored = images * spread + like("mean_image")
    except ValueError:
        return images
    return np.clip(restored, 0, None, where=restored > -1e-3, out=restored)


def from_one_hot(values: np.ndarray) -> np.ndarray:
    """The place of the 1 in each row [n] of labels [n, k] as `keras.utils.to_categorical` makes them; others stay."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "uifb":
        return values
    is_one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
    return np.asarray(values.argmax(axis=1)) if is_one_hot else values


def to_labels(where: str, values: np.ndarray, count: int) -> list[str]:
    """Labels as text. Raises DataError if there is not one for each image."""
    values = from_one_hot(values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)
    if values.ndim != 1 or values.dtype.kind not in "iufUSb" or len(values) != count:
        raise DataError(f"{where} is {values.dtype} {list(values.shape)}; expected {counted(count, 'label')}, one for "
                        "each image")
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
            raise DataError(f"{where} holds labels that are no whole numbers; expected whole numbers or texts")
        values = values.astype(np.int64)
    labels = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    if "" in labels:
        raise DataError(f"{where} has no label for {labels.count(''):,} of {counted(count, 'image')}, first for image "
                        f"{labels.index('')}; expected a label for each image")
    return labels


def _classes(path: Path, arrays: Mapping[str, Any], labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """(class names, int64 labels): the labels themselves, or names that the file gives to 0, 1, 2, …"""
    named = next((arrays[name] for name in CLASSES if name in arrays), None)
    if named is None and isinstance(arrays.get("labels"), (list, tuple)) and "y_train" in arrays:
        named = arrays["labels"]  # Kaggle's CIFAR-10 calls the class names so
    if named is None:
        classes = class_names(labels, str(path))
        index = {name: i for i, name in enumerate(classes)}
        return classes, np.array([index[label] for label in labels], np.int64)
    values = _array(f"{path}: class names", named)
    names = to_labels(f"{path}: class names", values, values.size)
    wrong = sorted({label for label in labels if not (label.isdecimal() and int(label) < len(names))})
    if wrong:
        raise DataError(f"{path}: received the label {wrong[0]!r}; expected 0 to {len(names) - 1}, as it has "
                        f"{counted(len(names), 'class name')}")
    return tuple(names), np.array(labels, np.int64)
