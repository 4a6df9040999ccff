"""The values that every source produces and everything downstream consumes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tenfold.data.view import Images, View, blocks
from tenfold.errors import DataError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Provenance:
    """Where a split came from: `source` in words; `expected` images where the official count is known.

    `from_partial` marks images chosen from a split that was itself partial: `source` says which; `held_out`
    marks a split that a recipe took out of train, where the source has no official one.
    """

    source: str
    expected: int | None = None
    from_partial: bool = False
    held_out: bool = False

    def partial(self, count: int) -> bool:
        """Whether `count` images are fewer than the official split holds, or were chosen from fewer."""
        return self.from_partial or (self.expected is not None and count < self.expected)

    def describe(self, count: int) -> str:
        """The source in words, and how much of the official split it is where that is not all."""
        if self.expected is not None and count < self.expected:
            return f"{self.source}: PARTIAL, {count:,} of {self.expected:,} images"
        return self.source


@dataclass(frozen=True)
class Split:
    """Labelled images: `images` uint8 [n, height, width, channels] and `labels` int64 [n].

    Images may be an array, a memory map, a view of either (see `Images`), and larger than memory. `groups` int64 [n]
    says which images belong together (None: each stands for itself). Raises DataError if they are anything else.
    """

    images: Images
    labels: np.ndarray
    provenance: Provenance
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
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
        """The images at `indices` (int [m]), in that order, with a word on where they come from; none is copied.

        With a `source` of their own the images are no longer measured against the official count,
        but the split stays partial if this one is.
        """
        provenance = self.provenance if source is None else Provenance(source, from_partial=self.partial)
        groups = None if self.groups is None else self.groups[indices]
        return Split(View(self.images, indices), self.labels[indices], provenance, groups)

    def fingerprint(self) -> str:
        """SHA-256 over the shape, labels and pixels, in order (hex). Reads all images once, when first asked."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_hash(self.images, self.labels)

    @property
    def partial(self) -> bool:
        """Whether the source lacks some of the images that the official split holds."""
        return self.provenance.partial(len(self))

    def describe(self) -> str:
        """Where the images come from, in words, and whether that is all of them."""
        return self.provenance.describe(len(self))


def content_hash(images: Images, labels: np.ndarray) -> str:
    """SHA-256 over the shape of the images, the labels and the pixels, in order (hex)."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(labels).data)
    for block in blocks(images):
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A named, labelled set of images in up to three splits (None: the source has no such split)."""

    name: str
    uri: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"data set {self.name} has {len(self.classes)} class; expected at least 2")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"data set {self.name} names a class twice: {', '.join(self.classes)}")
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
        """The splits that exist, by name, in the order train, validation, test."""
        present = ((name, getattr(self, name)) for name in SPLITS)
        return {name: split for name, split in present if split is not None}

    def fingerprint(self) -> str:
        """SHA-256 over the class names and the fingerprints of all splits, in order (hex)."""
        parts = [(name, split.fingerprint()) for name, split in self.splits().items()]
        return hashlib.sha256(repr((self.classes, parts)).encode()).hexdigest()
