"""The handwritten digits of scikit-learn, a data set that is always available."""

from __future__ import annotations

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
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / HIGHEST)).astype(np.uint8)[..., np.newaxis]
    classes = tuple(str(name) for name in bunch.target_names)
    train = Split(images, bunch.target.astype(np.int64), Provenance("scikit-learn's digits", len(images)))
    return Dataset("digits", "digits", classes, train=train)
