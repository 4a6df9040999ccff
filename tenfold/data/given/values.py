"""Labelled images given as Python values, and the data set that they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.fitting import fitted
from tenfold.data.given.image import is_array, kind_of, read
from tenfold.data.own.arrays import PAIRS, from_one_hot, to_bytes, to_labels
from tenfold.data.own.build import SIDE, SMALLEST
from tenfold.data.own.listing import ROLES, class_names, some
from tenfold.data.source import PLAIN, Shape
from tenfold.errors import DataError, ImageError, UsageError
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import DataSection

LOOKED_AT = 300  # images that give the size, the colour and the range of the values
IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img", "images"), ("label", "labels", "fine_label", "class", "target", "y")
EXPECTED = ("a Dataset, the name, URI or path of a data set, (x, y), (x, y, x_val, y_val, x_test, y_test), "
            "((x, y), (x_test, y_test)), a data set of PyTorch or of Hugging Face, or a dictionary of either")


class Items(Protocol):
    """Labelled images by number, as a data set of PyTorch or of Hugging Face has them."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: Any, /) -> Any: ...


Data = Dataset | str | Path | Mapping[str, Any] | Sequence[Any] | Items


@dataclass(frozen=True)
class Labelled:
    """The labelled images of one split, as they were given.

    name: in messages; images: an array of images, or None; read: gives the image and the label of a number; labels:
    of all images, where they are known without reading images; classes: the names of the labels 0, 1, …, if known.
    """

    name: str
    count: int
    read: Callable[[int], tuple[Any, Any]]
    images: np.ndarray | None = None
    labels: Any = None
    classes: tuple[str, ...] | None = None


def dataset_of(data: Any, section: DataSection = PLAIN, *, side: int | None = None, shape: Shape | None = None,
               watcher: Watcher = SILENT) -> Dataset:
    """The data set of labelled images given as Python values; a Dataset is returned as it is.

    Images are arrays [n, h, w], [n, h, w, c] or [n, c, h, w], or a sequence with an image in each place: an array, a
    Pillow image, a path or the bytes of a file. Labels are whole numbers, texts or one-hot rows. Images of different
    sizes are brought to one as `section` says, at most `side` pixels high and wide, or to `shape`. The images keep
    their order. Raises UsageError for another type, DataError for unsuitable images or labels.
    """
    if isinstance(data, Dataset):
        return data
    given = _splits(data)
    if "train" not in given:
        raise UsageError(f"data: received the splits {', '.join(given) or 'none'}; expected a training split")
    read_splits: dict[str, tuple[np.ndarray, list[str]]] = {}
    for name, split in given.items():
        if not split.count:
            raise DataError(f"{split.name}: received no images; expected at least one of each class")
        first = next(iter(read_splits.values()), None)
        read_splits[name] = _read(split, section, side, shape or (first[0].shape[1:] if first else None), watcher)
    names = next((split.classes for split in given.values() if split.classes), None)
    classes, number = _classes([label for _, labels in read_splits.values() for label in labels], names)
    splits: dict[str, Any] = {
        name: Split(images, np.array([number[label] for label in labels], np.int64),
                    Provenance(f"{given[name].name}, given in Python"))
        for name, (images, labels) in read_splits.items()}
    unseen = [each for i, each in enumerate(classes) if i not in splits["train"].labels]
    notes = (f"no training images of {some(unseen)}: the model can't learn what is not there",) if unseen else ()
    return Dataset(_name(data), "", classes, **splits, resize=section.resize, notes=notes)


# ----------------------------------------------------------------------------------------------------
# recognising


def _splits(data: Any) -> dict[str, Labelled]:
    """The splits of a value, by name. Raises UsageError for a value of another type."""
    if isinstance(data, Mapping):
        return _by_name(data)
    if hasattr(data, "batch_size") and hasattr(data, "dataset"):
        raise UsageError(f"data: received {kind_of(data)}; expected its data set: pass loader.dataset")
    if _is_split(data):
        return {"train": _labelled(data, "the training images", ("x", "y"))}
    if isinstance(data, list | tuple) and len(data) in (2, 3) and all(map(_is_split, data)):
        names = ("train", "test") if len(data) == 2 else ("train", "validation", "test")
        return {name: _labelled(each, f"the {name} images") for name, each in zip(names, data, strict=True)}
    if isinstance(data, list | tuple) and len(data) in (4, 6):
        flat = ("train", "validation", "test")[: len(data) // 2]
        pairs = zip(data[::2], data[1::2], strict=True)
        return {name: _labelled((x, y), f"the {name} images") for name, (x, y) in zip(flat, pairs, strict=True)}
    raise UsageError(f"data: received {kind_of(data)}; expected {EXPECTED}")


def _by_name(data: Mapping[Any, Any]) -> dict[str, Labelled]:
    """Splits of a dictionary: arrays by the names of an npz file, or a value for each split."""
    found: dict[str, Labelled] = {}
    for split, pairs in PAIRS.items():
        pair = next(((x, y) for x, y in pairs if x in data and y in data), None)
        if pair is not None:
            found[split] = _labelled((data[pair[0]], data[pair[1]]), pair[0], pair)
    for key, value in data.items():
        if str(key).lower() in ROLES and _is_split(value):
            found[ROLES[str(key).lower()]] = _labelled(value, f"the {key} images")
    if not found:
        keys = ", ".join(str(key)[:40] for key in list(data)[:12])
        raise UsageError(f"data: received a dictionary with {keys or 'nothing'}; expected x_train and y_train, or "
                         "train (and validation and test), each with a data set of PyTorch or Hugging Face or (x, y)")
    return {name: found[name] for name in PAIRS if name in found}


def _is_split(value: Any) -> bool:
    return _library(value) is not None or (isinstance(value, list | tuple) and len(value) == 2 and _is_images(value[0]))


def _is_images(value: Any) -> bool:
    """Whether a value is a sequence of images: not one image, and no data set."""
    return is_array(value) or (isinstance(value, list | tuple) and _library(value) is None and not (
        isinstance(value, tuple) and len(value) == 2 and _is_images(value[0])))


def _library(value: Any) -> str | None:
    """The library of a data set, told without importing it."""
    for kind in type(value).__mro__:
        if kind.__module__.startswith("torch.utils.data") and hasattr(value, "__len__") and hasattr(
                value, "__getitem__"):
            return "torch"
        if kind.__module__ == "datasets.arrow_dataset":
            return "datasets"
    return None


def _labelled(value: Any, name: str, pair: tuple[str, str] = ("the images", "the labels")) -> Labelled:
    library = _library(value)
    if library == "torch":
        return _of_torch(value, name)
    if library == "datasets":
        return _of_hugging_face(value, name)
    x, y = value
    if not is_array(x):
        x = list(x)
        if len({each.shape for each in x if is_array(each)}) == 1 and all(map(is_array, x)):
            x = np.stack([np.asarray(each) for each in x])
    labels = _flat_labels(y)
    if len(labels) != len(x):
        raise DataError(f"{name}: received {counted(len(x), 'image')} and {counted(len(labels), 'label')}; expected a "
                        "label for each image")
    return Labelled(name, len(x), lambda i: (x[i], labels[i]), np.asarray(x) if is_array(x) else None, labels)


def _of_torch(data: Any, name: str) -> Labelled:
    """A data set of PyTorch: each item is an image and its label."""
    inner = data
    while not isinstance(getattr(inner, "classes", None), list | tuple) and hasattr(inner, "dataset"):
        inner = inner.dataset  # of a Subset
    classes = getattr(inner, "classes", None)

    def item(number: int) -> tuple[Any, Any]:
        found = data[number]
        if not isinstance(found, list | tuple) or len(found) != 2:
            raise UsageError(f"{name}: item {number} is {kind_of(found)}; expected (image, label)")
        return found[0], found[1]

    return Labelled(name, len(data), item, classes=tuple(map(str, classes)) if classes else None)


def _of_hugging_face(data: Any, name: str) -> Labelled:
    """A data set of Hugging Face: its column of images and its column of labels, by type or by name."""
    kinds = {column: type(feature).__name__ for column, feature in data.features.items()}
    image = _column(name, kinds, "Image", IMAGE_COLUMNS)
    label = _column(name, kinds, "ClassLabel", LABEL_COLUMNS)
    names = getattr(data.features[label], "names", None)
    return Labelled(name, len(data), lambda i: (data[i][image], None), labels=list(data[label]),
                    classes=tuple(names) if names else None)


def _column(where: str, kinds: Mapping[str, str], kind: str, usual: Sequence[str]) -> str:
    found = [name for name, each in kinds.items() if each == kind] or [name for name in usual if name in kinds]
    if not found:
        raise DataError(f"{where}: received the columns {', '.join(kinds)}; expected one of type {kind}, or named "
                        f"{', '.join(usual)}")
    return found[0]


# ----------------------------------------------------------------------------------------------------
# reading


def _read(split: Labelled, section: DataSection, side: int | None, shape: Shape | None,
          watcher: Watcher) -> tuple[np.ndarray, list[str]]:
    """Images uint8 [n, h, w, c] of one shape, and the labels as text."""
    if split.images is not None:
        images = to_bytes(split.name, split.images, {})
        wanted = shape or (None if section.size is None else (section.size, section.size, images.shape[3]))
        if wanted is not None and images.shape[1:] != wanted:
            images = np.stack([fitted(image, wanted, section.resize) for image in images])
        return images, to_labels(split.name, split.labels, split.count)
    chosen, unit = _look(split, section, side)
    chosen = shape or chosen
    pixels, labels = np.empty((split.count, *chosen), np.uint8), []
    for i, (image, label) in enumerate(_items(split)):
        pixels[i] = _pixels(split.name, i, image, chosen, section, unit)
        labels.append(label)
        if i % 100 == 0 or i + 1 == split.count:
            watcher.advance("decode", i + 1, split.count, "images")
    known = labels if split.labels is None else split.labels
    every = known if isinstance(known, np.ndarray) else _flat_labels(list(known))
    return pixels, to_labels(split.name, every, split.count)


def _items(split: Labelled) -> Iterator[tuple[Any, Any]]:
    return (split.read(i) for i in range(split.count))


def _look(split: Labelled, section: DataSection, side: int | None) -> tuple[Shape, bool]:
    """(the shape of the images, whether arrays of decimals are from 0 to 1) from up to 300 images."""
    shapes, unit = [], True
    for i in np.linspace(0, split.count - 1, min(LOOKED_AT, split.count)).astype(int).tolist():
        image = split.read(i)[0]
        if is_array(image) and np.asarray(image).dtype.kind == "f" and np.asarray(image).max() > 1:
            unit = False
        shapes.append(_pixels(split.name, i, image, None, section, None).shape)
    channels = max(shape[2] for shape in shapes)
    sizes = {shape[:2] for shape in shapes}
    if section.size is not None:
        return (section.size, section.size, channels), unit
    if len(sizes) == 1:
        return (*sizes.pop(), channels), unit
    median = int(np.median([max(shape[:2]) for shape in shapes]))
    chosen = max(SMALLEST, min(median, side or SIDE))
    return (chosen, chosen, channels), unit


def _pixels(name: str, number: int, image: Any, shape: Shape | None, section: DataSection,
            unit: bool | None) -> np.ndarray:
    try:
        return read(image, shape, resize=section.resize, unit=unit)
    except (ImageError, UsageError) as error:
        raise DataError(f"{name}: image {number}: {error}") from None


def _flat_labels(labels: Any) -> np.ndarray:
    """Labels as an array [n]: of tensors, of a column of pandas, or of one-hot rows [n, k]."""
    if not is_array(labels) and not isinstance(labels, list | tuple):
        raise UsageError(f"labels: received {kind_of(labels)}; expected a list or an array, a label for each image")
    _check_none_is_missing(labels)
    try:
        values = np.asarray(labels)
        values = np.asarray(list(labels)) if values.dtype.kind == "O" else values
        values = np.asarray([str(value) for value in labels]) if values.dtype.kind == "O" else values
    except ValueError:
        raise DataError(f"labels: received {kind_of(labels)} that differ in shape; expected a label for each "
                        "image") from None
    return from_one_hot(values)


def _check_none_is_missing(labels: Any) -> None:
    """Raise DataError for None or NaN among labels of any type, which would become the names of classes."""
    if not isinstance(labels, list | tuple) and np.asarray(labels).dtype.kind != "O":
        return
    listed = list(labels)
    missing = [i for i, label in enumerate(listed) if label is None or (isinstance(label, float) and label != label)]
    if missing:
        raise DataError(f"labels: received {listed[missing[0]]} for {len(missing):,} of "
                        f"{counted(len(listed), 'image')}, first for image {missing[0]}; expected a label for each "
                        "image: leave out images without one")


def _classes(labels: Sequence[str], names: tuple[str, ...] | None) -> tuple[tuple[str, ...], dict[str, int]]:
    """(class names, label → number): the labels themselves, or names that are given to 0, 1, 2, …"""
    if names is not None and all(label.isdecimal() and int(label) < len(names) for label in set(labels)):
        return names, {str(i): i for i in range(len(names))}
    classes = names if names is not None and set(labels) <= set(names) else class_names(labels, "the labels")
    return classes, {name: i for i, name in enumerate(classes)}


def _name(data: Any) -> str:
    """A short name for the data set, fit for the name of a run."""
    library = _library(data)
    name = type(data).__name__ if library == "torch" else getattr(getattr(data, "info", None), "dataset_name", None)
    return re.sub(r"[^\w.+-]+", "-", name or "").strip("-.+").lower() or "arrays"
