"""The handwritten digits of scikit-learn, a data set that is always available."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.options import take_no_options
from tenfold.data.source import Access, source
from tenfold.registry import DATASETS

HIGHEST = 16  # pixel value of full ink in scikit-learn's copy


@DATASETS.add("digits")
@source(where=lambda root: "comes with scikit-learn")
def digits(options: str, access: Access) -> Dataset:
    """Digits: 1,797 handwritten digits of 8×8 pixels, from scikit-learn; nothing to download.

    Pixel values 0–16 are scaled to 0–255. There is no test split: the recipe holds one out. Raises UsageError if
    options are given.
    """
    take_no_options("digits", options)
    rows = _rows()
    images = np.round(rows[:, :-1].reshape(-1, 8, 8, 1) * (255 / HIGHEST)).astype(np.uint8)
    labels = rows[:, -1].astype(np.int64)
    train = Split(images, labels, Provenance("scikit-learn's digits", len(images)))
    return Dataset("digits", "digits", tuple(map(str, range(10))), train=train)


def _rows() -> np.ndarray:
    """Pixels and label of each image, int64 [1797, 65]: the file that scikit-learn's `load_digits` reads.

    Importing scikit-learn itself takes a second.
    """
    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        return np.loadtxt(file, np.int64, delimiter=",")
