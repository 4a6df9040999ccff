"""What a model says of the images of a split, kept from its scoring for its decision rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from tenfold.data.dataset import Split
from tenfold.data.view import Images
from tenfold.runtimes.predictor import BATCH, Predictor

MOST, MOST_BYTES = 10_000, 128 << 20  # of a split whose answers are kept; those of a larger one are computed again


@dataclass(frozen=True)
class Answers:
    """logits: float32 [n, k]; features: float32 [n, d]."""

    logits: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, predictor: Predictor, images: Images, batch_size: int = BATCH) -> Self:
        """The answers of a predictor to images uint8 [n, h, w, c]."""
        return cls(*predictor.logits_and_features(images, batch_size))

    @staticmethod
    def may_be_kept(predictor: Predictor, split: Split) -> bool:
        """Whether the answers to a split are few enough to be kept."""
        width = predictor.logits_and_features(split.images[:0])[1].shape[1]
        return len(split) <= MOST and 4 * width * len(split) <= MOST_BYTES

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """The answers to all images of several batches, in their order."""
        logits, features = zip(*((part.logits, part.features) for part in parts), strict=True)
        return cls(np.concatenate(logits), np.concatenate(features))

    def __getitem__(self, rows: np.ndarray | slice) -> Answers:
        """The answers to some images."""
        return Answers(self.logits[rows], self.features[rows])


Kept = dict[str, Answers]  # by the name of the split
