"""Corruptions of images, as Hendrycks & Dietterich (2019) define them, with the parameters of CIFAR-10-C.

Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019. Each takes images
as float64 0 to 1 [n, height, width, channels] and the parameter of a severity, and returns images of the same
shape and dtype. The parameters are meant for 32×32 images and do not depend on the image size. Pillow encodes
JPEG; scipy blurs.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.data.view import Images
from tenfold.registry import CORRUPTIONS

SEVERITIES = (1, 2, 3, 4, 5)
VALUES_PER_BLOCK = 4_000_000  # pixels × channels that are corrupted at a time: 32 MB per copy
Function = Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """A named corruption: its function and the function's parameter at severities 1 to 5."""

    name: str
    title: str
    function: Function
    levels: Sequence[Any]

    def __call__(self, images: np.ndarray, severity: int, seed: int = 0) -> np.ndarray:
        """Corrupt images, uint8 [n, h, w, c]; severity: 1 to 5. The same images and seed give the same result."""
        return np.concatenate([images[:0], *self.blocks(images, severity, seed)])

    def blocks(self, images: Images, severity: int, seed: int = 0) -> Iterator[np.ndarray]:
        """Corrupted images in blocks, uint8 [b, h, w, c], in the order of the images. Limits the memory used."""
        rng = np.random.default_rng([seed, severity, zlib.crc32(self.name.encode())])
        at_once = max(1, VALUES_PER_BLOCK // max(math.prod(images.shape[1:]), 1))
        for start in range(0, len(images), at_once):
            changed = self.function(images[start:start + at_once] / 255, self.levels[severity - 1], rng)
            # The original truncates fractions too. The margin keeps 254.99999 from becoming 254.
            yield np.clip(changed * 255 + 1e-6, 0, 255).astype(np.uint8)


def corruption(name: str) -> Corruption:
    """The registered corruption of this name. Raises UnknownNameError, which suggests the nearest name."""
    found = CORRUPTIONS.get(name)
    assert isinstance(found, Corruption)
    return found


def _add(name: str, title: str, *levels: Any) -> Callable[[Function], Function]:
    """Decorator: register a function as a corruption, with its parameter at each severity from 1 to 5."""

    def register(function: Function) -> Function:
        CORRUPTIONS.add(name, function.__module__)(Corruption(name, title, function, levels))
        return function

    return register


@_add("gaussian_noise", "Gaussian noise", 0.04, 0.06, 0.08, 0.09, 0.10)
def gaussian_noise(x: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add normal noise to each pixel and channel."""
    return x + rng.normal(scale=deviation, size=x.shape)


@_add("shot_noise", "Shot noise", 500, 250, 100, 75, 50)
def shot_noise(x: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise; full brightness is this number of photons."""
    return rng.poisson(x * photons) / photons


@_add("impulse_noise", "Impulse noise", 0.01, 0.02, 0.03, 0.05, 0.07)
def impulse_noise(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Set a random fraction of the values to 0 or 1."""
    drawn = rng.random(x.shape)
    return np.where(drawn < fraction / 2, 0.0, np.where(drawn < fraction, 1.0, x))


@_add("defocus_blur", "Defocus blur", (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
def defocus_blur(x: np.ndarray, level: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Convolve with a disk; level: its radius and the deviation of the Gaussian that softens it."""
    radius, softness = level
    away = np.arange(-8, 9)
    disk = (away[:, None] ** 2 + away**2 <= radius**2).astype(np.float64)
    soft = np.exp(-np.arange(-1, 2) ** 2 / (2 * softness**2))
    soft /= soft.sum()
    kernel = ndimage.convolve(disk / disk.sum(), np.outer(soft, soft), mode="mirror")[5:12, 5:12]
    return ndimage.convolve(x, kernel[None, :, :, None], mode="mirror")


@_add("gaussian_blur", "Gaussian blur", 0.4, 0.6, 0.7, 0.8, 1)
def gaussian_blur(x: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with a Gaussian."""
    return ndimage.gaussian_filter(x, (0, deviation, deviation, 0), mode="nearest")


@_add("zoom_blur", "Zoom blur", 1.06, 1.11, 1.16, 1.21, 1.26)
def zoom_blur(x: np.ndarray, farthest: float, rng: np.random.Generator) -> np.ndarray:
    """Average the image with copies of it enlarged in steps of 1 %, up to just below the factor `farthest`."""
    factors = np.arange(1, farthest, 0.01)
    return (x + sum(_enlarged(x, factor) for factor in factors)) / (len(factors) + 1)


def _enlarged(x: np.ndarray, factor: float) -> np.ndarray:
    height, width = x.shape[1:3]
    cut = [int(np.ceil(side / factor)) for side in (height, width)]
    top, left = (height - cut[0]) // 2, (width - cut[1]) // 2
    large = ndimage.zoom(x[:, top : top + cut[0], left : left + cut[1]], (1, factor, factor, 1), order=1)
    top, left = (large.shape[1] - height) // 2, (large.shape[2] - width) // 2
    return large[:, top : top + height, left : left + width]


@_add("brightness", "Brightness", 0.05, 0.10, 0.15, 0.20, 0.30)
def brightness(x: np.ndarray, more: float, rng: np.random.Generator) -> np.ndarray:
    """Raise the value in hue-saturation-value; keep hue and saturation."""
    value = x.max(axis=-1, keepdims=True)
    raised = np.minimum(value + more, 1)
    return np.where(value > 0, x * raised / np.where(value > 0, value, 1), raised)


@_add("contrast", "Contrast", 0.75, 0.5, 0.4, 0.3, 0.15)
def contrast(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Shrink the distance of each value from its channel's mean in the image."""
    means = x.mean(axis=(1, 2), keepdims=True)
    return (x - means) * fraction + means


@_add("jpeg", "JPEG", 80, 65, 58, 50, 40)
def jpeg(x: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Encode as JPEG of this quality and decode again."""

    def through(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _each(x, through)


@_add("pixelate", "Pixelate", 0.95, 0.9, 0.85, 0.75, 0.65)
def pixelate(x: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Shrink the sides to a fraction and enlarge them again, both with box resampling."""

    def through(image: Image.Image) -> Image.Image:
        small = (max(1, int(image.width * fraction)), max(1, int(image.height * fraction)))
        return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)

    return _each(x, through)


def _each(x: np.ndarray, through: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    images = np.round(x * 255).astype(np.uint8)
    mode = images[..., 0] if images.shape[-1] == 1 else images
    changed = np.stack([np.asarray(through(Image.fromarray(image))) for image in mode])
    return changed.reshape(x.shape) / 255
