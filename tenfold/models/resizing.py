"""Resizing inside a network: to its own image size, or during training to a fraction of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from tenfold.backend import keras


class Resizing(keras.layers.Resizing):
    """Resizes images to its size, or to a fraction of it while its network is `resized`."""

    scale = 1.0

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        size = scaled((self.height, self.width), self.scale)
        antialias = self.antialias or self.scale < 1
        return keras.ops.image.resize(x, size, self.interpolation, antialias, data_format=self.data_format)


@contextlib.contextmanager
def resized(model: keras.Model, scale: float) -> Iterator[float]:
    """A context in which a network that begins by resizing its images resizes them to a fraction of its size.

    Yields the scale that is left for the images before they enter the network: 1, or `scale` if it does not resize.
    """
    resizing = model.layers[1]
    if not isinstance(resizing, Resizing):
        yield scale
        return
    resizing.scale = scale
    try:
        yield 1.0
    finally:
        resizing.scale = 1.0


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """(height, width) in pixels, multiplied by `scale` and at least 1."""
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
