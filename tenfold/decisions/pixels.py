"""Pixels unlike those of the training images, as of drawings, noise or patterns, which logits often take for a class.

Statistics of its pixels say how the colours and the details of an image are spread, not what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.decisions.covariance import shrunk
from tenfold.decisions.packed import pack, unpack

if TYPE_CHECKING:
    from tenfold.decisions.record import PixelRule

SCALES = 3  # differences of neighbours, of means of two, and of means of four
LARGEST = 128  # pixels of a side; of a larger image, only its middle is read
AT_ONCE = 1 << 16  # numbers, which stay in the cache of a processor
FLAT = 0.9  # grey levels: smaller differences can't be seen; none is equal, so that rounding does not matter
GREY_LEVELS = 32  # of a mean that count as one
SMALLEST_SPREAD = 0.05  # of a statistic, so that one that is always the same allows a little
SMALLEST_VARIANCE = 1e-3  # of a combination of statistics
LIMIT = 0.995  # the fraction of validation images that stay within the limit
WEIGHT = 32.0  # standard deviations of the score for each unit of distance beyond it


def statistics(images: np.ndarray) -> np.ndarray:
    """What the pixels of images uint8 [n, h, w, c] are like: float32 [n, s], s is the same for all of one shape.

    Mean and contrast, of grey and of the colours' differences to the middle channel. Then the differences of pixels
    across, down and diagonally, at each scale: how strong they are, how evenly spread, and how often there are none.
    """
    rows, columns = (slice(max(0, side - LARGEST) // 2, max(0, side - LARGEST) // 2 + LARGEST)
                     for side in images.shape[1:3])
    images = images[:, rows, columns]
    step = max(1, AT_ONCE // int(np.prod(images.shape[1:])))
    return np.concatenate([_statistics(images[i : i + step]) for i in range(0, max(1, len(images)), step)])


@dataclass(frozen=True)
class Usual:
    """Which pixels are usual: within a limit of the distance from the mean of the training images.

    centre: float32 [s]; whitening: float32 [s, s], in its columns the training images have about unit variance;
    limit: of the root mean square over these columns; weight: of what is beyond.
    """

    centre: np.ndarray
    whitening: np.ndarray
    limit: float
    weight: float

    @classmethod
    def fit(cls, train: np.ndarray, on: np.ndarray, spread: float) -> Usual:
        """Fit the mean to the statistics [n, s] of training images, and the limit to those of validation images.

        spread: the standard deviation of the score of these validation images, to which `beyond` is added.
        """
        centre, scale = train.mean(axis=0, dtype=np.float64), np.maximum(train.std(axis=0), SMALLEST_SPREAD)
        values, vectors = np.linalg.eigh(shrunk((train - centre) / scale))
        whitening = vectors / np.sqrt(np.maximum(values, SMALLEST_VARIANCE)) / scale[:, None]
        packed = unpack(pack(centre)), unpack(pack(whitening))  # rounded, as the model will have them
        limit = np.quantile(cls(*packed, limit=0, weight=0).distance(on), LIMIT)
        return cls(*packed, float(limit), WEIGHT * spread)

    def distance(self, statistics: np.ndarray) -> np.ndarray:
        """Of images with statistics [n, s]: float64 [n], about 1 for training images."""
        whitened = (statistics - self.centre.astype(np.float64)) @ self.whitening
        return np.asarray(np.sqrt((whitened**2).mean(axis=1)))

    def beyond(self, statistics: np.ndarray) -> np.ndarray:
        """What is added to the score of images with statistics [n, s]: float64 [n], 0 within the limit."""
        return np.asarray(self.weight * np.maximum(0, self.distance(statistics) - self.limit))

    def to_dict(self, arrays: bool = True) -> dict[str, Any]:
        """As plain JSON values, as `read` takes them if they have the arrays."""
        packed = {"centre": pack(self.centre), "whitening": pack(self.whitening)} if arrays else {}
        return {"limit": self.limit, "weight": self.weight, "arrays": packed}

    @classmethod
    def read(cls, rule: PixelRule, count: int | None = None) -> Usual:
        """From a record, for a model whose images have that many statistics (None: any).

        Raises ValueError for arrays that are damaged or do not fit.
        """
        arrays = {name: unpack(each.model_dump()) for name, each in rule.arrays.items()}
        shapes = {name: arrays[name].shape if name in arrays else () for name in ("centre", "whitening")}
        s = shapes["whitening"][:1] if count is None else (count,)
        if shapes != {"centre": s, "whitening": s + s} or not s:
            raise ValueError(f"arrays of the shapes {shapes['centre']} and {shapes['whitening']} do not fit the "
                             "statistics of the model's pixels")
        return cls(arrays["centre"], arrays["whitening"], rule.limit, rule.weight)


def _statistics(images: np.ndarray) -> np.ndarray:
    planes = [images[..., channel].astype(np.float32) for channel in range(images.shape[3])]
    grey, middle = sum(planes[1:], planes[0]) / len(planes), len(planes) // 2
    found = _of_plane(grey)
    for plane in planes[:middle] + planes[middle + 1 :]:
        found += _of_plane(plane - planes[middle])
    for _ in range(SCALES):
        if min(grey.shape[1:]) < 2:
            break
        down, both = (grey[:, :-1:2] - grey[:, 1::2]) / 2, (grey[:, :-1:2] + grey[:, 1::2]) / 2
        found += _of_details(both[:, :, :-1:2] - both[:, :, 1::2])
        found += _of_details(down[:, :, :-1:2] + down[:, :, 1::2])
        found += _of_details(down[:, :, :-1:2] - down[:, :, 1::2])
        grey = (both[:, :, :-1:2] + both[:, :, 1::2]) / 2
    return np.stack(found, axis=1).astype(np.float32)


def _of_plane(plane: np.ndarray) -> list[np.ndarray]:
    """Mean and logarithm of the standard deviation of planes [n, h, w]."""
    flat = plane.reshape(len(plane), plane.shape[1] * plane.shape[2])
    mean = flat.mean(axis=1)
    return [mean / GREY_LEVELS, np.log1p(_strength(flat - mean[:, None]))]


def _of_details(details: np.ndarray) -> list[np.ndarray]:
    """Logarithm of the strength, evenness and flat fraction of differences [n, h, w]."""
    sizes = np.abs(details.reshape(len(details), details.shape[1] * details.shape[2]))
    strength = _strength(sizes)
    return [np.log1p(strength), (sizes.mean(axis=1) + 0.1) / (strength + 0.1), (sizes < FLAT).mean(axis=1)]


def _strength(flat: np.ndarray) -> np.ndarray:
    """The root mean square of [n, m]: [n]."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1]))
