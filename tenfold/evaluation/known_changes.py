"""Known changes of images: eight kinds at three strengths, by which a model's own labelled images become unlike them.

How a method errs on these images, whose labels are known, tells how far to trust it on images without labels (Deng &
Zheng 2021, "Are labels always necessary for classifier accuracy evaluation?"). The kinds are what happens between one
camera and the next; none of them is one of `evaluation.corruptions`, which measure the method.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

Function = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Change:
    """A kind of change at one strength. Called with images uint8 [n, h, w, c], it returns changed ones."""

    kind: str
    strength: float
    function: Function

    def __call__(self, images: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([zlib.crc32(self.kind.encode()), round(1000 * self.strength)])
        changed = self.function(images.astype(np.float32), self.strength, rng)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def changes(channels: int) -> Iterator[Change]:
    """All changes of images with so many channels."""
    for kind, (function, strengths) in KINDS.items():
        if channels == 3 or kind != "colour":
            yield from (Change(kind, strength, function) for strength in strengths)


def _rotated(x: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    return ndimage.rotate(x, degrees, axes=(1, 2), reshape=False, order=1, mode="reflect")


def _shifted(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    return ndimage.shift(x, (0, fraction * x.shape[1], -fraction * x.shape[2], 0), order=1, mode="reflect")


def _nearer(x: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """The middle of the image, enlarged by the factor."""
    middle = [(side - 1) / 2 * (1 - 1 / factor) for side in x.shape[1:3]]
    scale = np.array([1, 1 / factor, 1 / factor, 1])
    return ndimage.affine_transform(x, scale, (0, *middle, 0), order=1, mode="reflect")


def _lit(x: np.ndarray, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Another gamma: brighter below 1, darker above."""
    return 255 * (x / 255) ** np.float32(exponent)


def _grainy(x: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Each pixel, in all channels alike, times a random factor around 1."""
    return x * (1 + deviation * rng.standard_normal(x.shape[:3], np.float32)[..., np.newaxis])


def _coarse(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Reduced to a fraction of the side and enlarged again, both with bicubic resampling."""
    height, width = x.shape[1:3]
    small = max(2, round(fraction * width)), max(2, round(fraction * height))
    changed = np.empty_like(x)
    for i, image in enumerate(x.astype(np.uint8)):
        picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
        reduced = picture.resize(small, Image.Resampling.BICUBIC)
        changed[i] = np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC)).reshape(image.shape)
    return changed


def _coloured(x: np.ndarray, saturation: float, rng: np.random.Generator) -> np.ndarray:
    """Another saturation: 0 is grey."""
    grey = x.mean(axis=3, keepdims=True)
    return grey + saturation * (x - grey)


def _hidden(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """A grey square over this fraction of the side, at a random place."""
    n, height, width, _ = x.shape
    tall, wide = max(1, round(fraction * height)), max(1, round(fraction * width))
    top, left = rng.integers(0, height - tall + 1, n), rng.integers(0, width - wide + 1, n)
    rows = (np.arange(height) >= top[:, None]) & (np.arange(height) < top[:, None] + tall)
    columns = (np.arange(width) >= left[:, None]) & (np.arange(width) < left[:, None] + wide)
    return np.where((rows[:, :, None] & columns[:, None, :])[..., None], np.float32(127.5), x)


KINDS: dict[str, tuple[Function, tuple[float, float, float]]] = {
    "rotation": (_rotated, (7, 15, 30)), "position": (_shifted, (0.06, 0.12, 0.2)),
    "distance": (_nearer, (1.15, 1.35, 1.7)), "light": (_lit, (0.6, 1.8, 3.0)),
    "grain": (_grainy, (0.08, 0.16, 0.3)), "resolution": (_coarse, (0.75, 0.55, 0.4)),
    "colour": (_coloured, (0.5, 0.0, 2.0)), "hidden": (_hidden, (0.2, 0.35, 0.5)),
}
