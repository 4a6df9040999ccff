"""Explore a data set: what its images look like, what an inspection found, and a map of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import image_names
from tenfold.data.images import Header
from tenfold.data.view import blocks
from tenfold.errors import DataError, ModelFileError
from tenfold.extras import installed
from tenfold.inspection.evidence import backbone_features
from tenfold.inspection.finding import known_kinds
from tenfold.inspection.inspecting import Inspection
from tenfold.inspection.mapping import FEWEST, image_map
from tenfold.progress import SILENT, Watcher
from tenfold.report.explored import Explored, Found, FoundKind, Looks
from tenfold.report.plots.grid import THUMBNAIL, examples, thumbnail

SMALLEST, SMALL, FOR = 8, 24, 60_000  # pixels of the longer side of an image on the map; of so many images
MOST_EXAMPLES, OF_CLASS = 600, 12  # examples in all, and of a class
SEED = 0
WITHOUT_OPENTSNE = ("the map shows only the first two principal components: the package openTSNE is not installed; "
                    "pip install 'tenfold[check]' for a clearer one")


def explore(
    dataset: Dataset, found: Inspection, headers: Mapping[str, tuple[Header, int]] | None = None, *,
    features: Callable[[Dataset, Watcher], np.ndarray] = backbone_features, watcher: Watcher = SILENT,
) -> Explored:
    """What is known of all images of a data set.

    found: the findings to show; headers: (header, bytes) of image files by name; features: float32 [n, d] of all images
    for the map. Raises DataError without images, StorageError if the cache can't be written, and KeyboardInterrupt when
    the watcher asks to stop.
    """
    splits = {name: split for name, split in dataset.splits().items() if len(split)}
    if not splits:
        raise DataError(f"data set {dataset.uri}: received no images; expected at least one")
    labels = np.concatenate([split.labels for split in splits.values()])
    names = tuple(name for part in image_names(dataset).values() for name in part)
    chosen = np.concatenate(examples(labels, len(dataset.classes), _per_class(len(dataset.classes)), SEED))
    places, method, notes = None, "", []
    try:
        drawn = image_map(dataset, watcher, features)
        places, method = drawn.places, drawn.method
        if method == "PCA" and len(labels) >= FEWEST and not installed("openTSNE"):
            notes.append(WITHOUT_OPENTSNE)
    except ModelFileError as error:
        notes.append(f"there is no map: {error}")
    return Explored(
        dataset.name, dataset.classes, tuple(splits), labels,
        np.repeat(np.arange(len(splits)), [len(split) for split in splits.values()]),
        () if names == tuple(f"{name}:{i}" for name, split in splits.items() for i in range(len(split))) else names,
        look(dataset, labels, chosen, watcher), chosen, dataset.shape, _sizes(names, headers or {}), places, method,
        *_findings(found, names), notes)


def small_side(count: int) -> int:
    """The longer side in pixels at which so many images are shown: their pixels in all are about the same."""
    return int(np.clip(SMALL * np.sqrt(FOR / max(1, count)), SMALLEST, THUMBNAIL))


def look(dataset: Dataset, labels: np.ndarray, chosen: np.ndarray, watcher: Watcher = SILENT) -> Looks:
    """One pass over the pixels of all images; labels: of all of them; chosen: rows of the examples (int64 [m])."""
    count, classes, side = len(labels), len(dataset.classes), small_side(len(labels))
    blank = np.zeros(dataset.shape, np.uint8)
    small = np.empty((count, *thumbnail(blank, side).shape), np.uint8)
    large = np.empty((len(chosen), *thumbnail(blank).shape), np.uint8)
    sums, tints = np.zeros((classes, *large.shape[1:]), np.float64), np.empty((count, 3), np.float32)
    place_of = {row: place for place, row in enumerate(chosen.tolist())}
    row = 0
    for split in dataset.splits().values():
        for block in blocks(split.images):
            for image in block:
                reduced = thumbnail(image)
                small[row] = thumbnail(reduced, side)
                sums[labels[row]] += reduced
                tints[row] = image.mean(axis=(0, 1))
                if row in place_of:
                    large[place_of[row]] = reduced
                row += 1
            watcher.advance("inspect", row, count, "images")
    counts = np.bincount(labels, minlength=classes).astype(float)
    with np.errstate(invalid="ignore"):
        means = (sums / counts[:, np.newaxis, np.newaxis, np.newaxis]).astype(np.float32)
    return Looks(small, large, means, tints)


def _per_class(classes: int) -> int:
    return max(1, min(OF_CLASS, MOST_EXAMPLES // classes))


def _sizes(names: tuple[str, ...], headers: Mapping[str, tuple[Header, int]]) -> np.ndarray | None:
    """Width and height of the image files, int64 [m, 2]; None if the images are no files."""
    known = [headers[name][0] for name in names if name in headers]
    return np.array([(header.width, header.height) for header in known], np.int64) if known else None


def _findings(found: Inspection, names: tuple[str, ...]) -> tuple[list[FoundKind], list[Found]]:
    """The kinds that were found, the most harmful first, and the findings with the rows of their images."""
    row_of, known, counts = {name: row for row, name in enumerate(names)}, known_kinds(), found.counts()
    kinds = [FoundKind(name, known[name].meaning, known[name].advice, count) for name, count in counts.items()]
    listed = [Found(each.kind, np.array([row_of[name] for name in each.images if name in row_of], np.int64), each.score,
                    each.words) for each in found.findings]
    return kinds, listed
