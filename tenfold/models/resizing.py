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
        return keras.ops.image.resize(x, size, self.interpolation, self.antialias, data_format=self.data_format)


@contextlib.contextmanager
def resized(model: keras.Model, scale: float) -> Iterator[float]:
    """A context in which a network with an image size resizes to a fraction of it.

    Yields the scale that is left for the images before they enter the network: 1, or `scale` if it does not resize.
    """
    resizing = next((layer for layer in model.layers if isinstance(layer, Resizing)), None)
    if resizing is None:
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
