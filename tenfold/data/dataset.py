"""The values that every data source produces: `Dataset`, `Split` and `Provenance`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from tenfold.counted import counted
from tenfold.data.view import Images, View, blocks
from tenfold.errors import DataError, type_of
from tenfold.recipe.sections import Resize

SPLITS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True)
class Provenance:
    """The origin of a split.

    source: description in words; expected: official number of images, if known; from_partial: the images were selected
    from a partial split; held_out: a recipe held the split out of the training images; fold_of: fingerprint of the
    images that were divided into folds, if the split is one of them.
    """

    source: str
    expected: int | None = None
    from_partial: bool = False
    held_out: bool = False
    fold_of: str = ""

    def partial(self, count: int) -> bool:
        """Whether `count` images are fewer than in the official split, or were selected from a partial split."""
        return self.from_partial or (self.expected is not None and count < self.expected)

    def describe(self, count: int) -> str:
        """The source in words; for a partial split also the number of official images present."""
        if self.expected is not None and count < self.expected:
            return f"{self.source}: PARTIAL, {count:,} of {self.expected:,} images"
        return self.source


@dataclass(frozen=True)
class LeftOut:
    """A file of a data set that is not used: its name (a path, or a row of a table), and the reason in words.

    unreadable: it was listed as an image, but its pixels can't be read.
    """

    name: str
    reason: str
    unreadable: bool = False


@dataclass(frozen=True)
class Split:
    """Labelled images: `images` uint8 [n, height, width, channels] and `labels` int64 [n].

    Images may be an array, a memory map or a view of either (see `Images`), and larger than memory. `groups` int64 [n]
    gives the group of each image, such as all images of one patient (None: no groups). `names` names each image, as its
    path does (empty: no names). `standard` returns the same images at a size that no recipe changes (None: `images`
    themselves). Raises DataError for other dtypes or shapes.
    """

    images: Images
    labels: np.ndarray
    provenance: Provenance
    groups: np.ndarray | None = None
    names: tuple[str, ...] = ()
    standard: Callable[[], Images] | None = None

    def __post_init__(self) -> None:
        for name, values in (("images", self.images), ("labels", self.labels)):
            if not hasattr(values, "dtype") or not hasattr(values, "shape"):
                raise DataError(f"{name}: received {type_of(values)}; expected an array (numpy.asarray)")
        if self.images.dtype != np.uint8 or len(self.images.shape) != 4:
            raise DataError(f"images are {self.images.dtype} {list(self.images.shape)}; "
                            "expected uint8 [n, height, width, channels]")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(f"labels are {self.labels.dtype} {list(self.labels.shape)}; "
                            f"expected int64 [{len(self.images)}]")
        if self.groups is not None and (self.groups.dtype != np.int64 or self.groups.shape != self.labels.shape):
            raise DataError(f"groups are {self.groups.dtype} {list(self.groups.shape)}; "
                            f"expected int64 [{len(self.images)}]")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray, source: str | None = None) -> Split:
        """A split with the images at `indices` (int [m]), in that order, without copying pixels.

        A new `source` describes the selection: the official count no longer applies, but the split stays partial if
        this one is.
        """
        provenance = self.provenance if source is None else Provenance(source, from_partial=self.partial)
        groups = None if self.groups is None else self.groups[indices]
        names = tuple(self.names[i] for i in np.arange(len(self))[indices]) if self.names else ()
        standard = None if self.standard is None else partial(_rows_of, self.standard, indices)
        return Split(View(self.images, indices), self.labels[indices], provenance, groups, names, standard)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of shape, labels and pixels, in order. The first call reads all images."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_hash(self.images, self.labels)

    def identity(self) -> str:
        """SHA-256 (hex) of the labels and the images at their standard size: equal for equal images of two sizes.

        The first call reads all images, and may decode them.
        """
        return self._identity

    @cached_property
    def _identity(self) -> str:
        return self.fingerprint() if self.standard is None else content_hash(self.standard(), self.labels)

    @property
    def partial(self) -> bool:
        """Whether images of the official split are missing."""
        return self.provenance.partial(len(self))

    def describe(self) -> str:
        """The source of the images in words, and whether the split is partial."""
        return self.provenance.describe(len(self))


def _rows_of(images: Callable[[], Images], rows: np.ndarray) -> Images:
    return View(images(), rows)


def content_hash(images: Images, labels: np.ndarray) -> str:
    """SHA-256 (hex) of the shape of the images, the labels and the pixels, in order."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(labels).data)
    for block in blocks(images):
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A named set of labelled images in up to four splits (None: the data set has no such split).

    calibration: images that a recipe held out of validation, on which nothing but decision rules is fitted; notes:
    sentences about how it was read; left_out: files that are not used; resize: the rule by which images of another size
    are brought to the data set's shape (see `DataSection.resize`).
    """

    name: str
    uri: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    notes: tuple[str, ...] = field(default=())
    left_out: tuple[LeftOut, ...] = ()
    resize: Resize = "stretch"
    calibration: Split | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"data set {self.name} has {counted(len(self.classes), 'class')}; expected at least 2")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"data set {self.name} has a class twice: {', '.join(self.classes)}; expected each once")
        for name, split in self.splits().items():
            if split.images.shape[1:] != self.shape:
                raise DataError(f"{self.name}: {name} images are {split.images.shape[1:]}; "
                                f"expected {self.shape}")
            if len(split) and (split.labels.min() < 0 or split.labels.max() >= len(self.classes)):
                raise DataError(f"{self.name}: {name} labels run from {split.labels.min()} to "
                                f"{split.labels.max()}; expected 0 to {len(self.classes) - 1}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def splits(self) -> dict[str, Split]:
        """The existing splits by name, in the order train, validation, calibration, test."""
        present = ((name, getattr(self, name)) for name in SPLITS)
        return {name: split for name, split in present if split is not None}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the class names and the fingerprints of all splits, in order."""
        return self._hash([(name, split.fingerprint()) for name, split in self.splits().items()])

    def identity(self) -> str:
        """SHA-256 (hex) of the class names and the identities of all splits: equal for equal images of two sizes."""
        return self._hash([(name, split.identity()) for name, split in self.splits().items()])

    def _hash(self, splits: list[tuple[str, str]]) -> str:
        return hashlib.sha256(repr((self.classes, splits)).encode()).hexdigest()
