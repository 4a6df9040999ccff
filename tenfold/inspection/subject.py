"""The images that the kinds of findings look at, and what is computed of them on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import image_names
from tenfold.data.images import Header
from tenfold.inspection.groups import equal_groups, joined
from tenfold.inspection.looks import Looks, concatenated, look
from tenfold.inspection.near import Near, find_near
from tenfold.progress import SILENT, Watcher

Compute = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Subject:
    """The n images of all splits of a data set, one split after the other.

    headers: (header, bytes) of image files by name; compute_features: float32 [n, d] of all images;
    compute_probabilities: float32 [n, k] from classifiers that did not see the image.
    """

    dataset: Dataset
    compute_features: Compute
    compute_probabilities: Callable[[Subject], np.ndarray]
    headers: Mapping[str, tuple[Header, int]] = field(default_factory=dict)
    watcher: Watcher = SILENT

    def __len__(self) -> int:
        return sum(map(len, self.dataset.splits().values()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The path of each image, or "split:number"."""
        return tuple(name for names in image_names(self.dataset).values() for name in names)

    @cached_property
    def labels(self) -> np.ndarray:
        """The label of each image, int64 [n]."""
        return np.concatenate([split.labels for split in self.dataset.splits().values()])

    @cached_property
    def splits(self) -> np.ndarray:
        """The name of the split of each image."""
        return np.concatenate([np.full(len(split), name) for name, split in self.dataset.splits().items()])

    def named(self, rows: Iterable[int]) -> tuple[str, ...]:
        """The names of some images (int [m])."""
        return tuple(self.names[row] for row in rows)

    def largest(self, rows: np.ndarray) -> int:
        """The image among some (int [m]) whose file has the most pixels, then the most bytes; else the first."""
        def size(row: int) -> tuple[int, int]:
            header = self.headers.get(self.names[row])
            return (header[0].width * header[0].height, header[1]) if header else (0, 0)

        return max((int(row) for row in rows), key=size)

    def places(self, rows: np.ndarray) -> str:
        """Class and split of some images in words: "cat in train, cat in test"; without splits only the class."""
        found = [f"{self.dataset.classes[self.labels[row]]}{self.in_split(row)}" for row in rows]
        return ", ".join(dict.fromkeys(found))

    def in_split(self, row: int) -> str:
        """" in test" for an image of the test split; empty if the images are not in splits yet."""
        return f" in {self.splits[row]}" if len(self.dataset.splits()) > 1 else ""

    @property
    def image(self) -> str:
        """What an image of the training split is called: "image" if the images are not in splits yet."""
        return "training image" if len(self.dataset.splits()) > 1 else "image"

    @cached_property
    def looks(self) -> Looks:
        """What the pixels of all images tell."""
        parts, before = [], 0
        for split in self.dataset.splits().values():
            parts.append(look(split.images, lambda done, before=before: self.watcher.advance(  # type: ignore[misc]
                "inspect", before + done, len(self), "images")))
            before += len(split)
        return concatenated(parts)

    @cached_property
    def equal(self) -> list[np.ndarray]:
        """Groups of images with the same pixels: ascending int64 arrays of two or more rows."""
        return equal_groups(self.looks.digests)

    @cached_property
    def near(self) -> list[tuple[np.ndarray, float]]:
        """(rows, similarity of its least similar pair) of groups of nearly equal images, not all of them equal."""
        first = np.arange(len(self))
        for group in self.equal:
            first[group] = group[0]
        distinct = np.unique(first)
        found: Near = find_near(self.looks.small[distinct], self.watcher)
        return joined(first, distinct[found.pairs], found.similarity)

    @cached_property
    def features(self) -> np.ndarray:
        """Features of all images, float32 [n, d]. Raises a TenfoldError if there is no backbone."""
        return self.compute_features()

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class, float32 [n, k], from classifiers that did not see the image."""
        return self.compute_probabilities(self)
