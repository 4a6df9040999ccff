"""Look at images without labels with a run's model: features and probabilities, computed in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold import modelfile
from tenfold.data.given.unlabelled import Unlabelled
from tenfold.decisions.temperature import calibrated
from tenfold.errors import ImageError
from tenfold.progress import Watcher
from tenfold.run import Run
from tenfold.runtimes.fast import Fast, fast

BLOCK = 256  # images


@dataclass(frozen=True)
class Looked:
    """What a model sees in the images that could be read.

    numbers: int64 [n], their indices among the given images, from 0; features: float32 [n, d]; probabilities: float64
    [n, k], calibrated; unread: a reason for each other image.
    """

    images: Unlabelled
    numbers: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    unread: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, row: int) -> str:
        """The name of the image in a row."""
        return self.images.name(int(self.numbers[row]))

    def pixels(self, rows: np.ndarray) -> list[np.ndarray]:
        """The images in some rows, uint8 [h, w, c] each, read again."""
        return self.images.pixels(self.numbers[rows].tolist())


def look(run: Run, images: Any, temperature: float, watcher: Watcher) -> Looked:
    """Compute the features and the probabilities of images at a temperature.

    Raises UsageError for paths that do not exist, ImageError if none can be read, RunError if the run has no model.
    """
    predictor = fast(run)
    given = Unlabelled(images, predictor.shape, modelfile.facts(run.path / "model.keras").get("resize", "stretch"))
    numbers: list[int] = []
    features, unread = [], list[str]()
    for read, pixels, reasons in given.blocks(BLOCK):
        watcher.advance("features", len(numbers), len(given), "images")
        features.append(predictor.features(pixels))
        numbers += read
        unread += reasons
    watcher.advance("features", len(given), len(given), "images")
    if not numbers:
        raise ImageError("; ".join(unread[:5]) or "received no images; expected at least one")
    rows = np.concatenate(features)
    return Looked(given, np.array(numbers, np.int64), rows, tempered(predictor, rows, temperature), tuple(unread))


def tempered(predictor: Fast, features: np.ndarray, temperature: float) -> np.ndarray:
    """The calibrated probabilities, float64 [n, k], of features float32 [n, d]."""
    return calibrated(predictor.of_features(features), temperature)

