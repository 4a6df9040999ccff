"""One image given as a Python value: a path, bytes, an array or a Pillow image, as uint8 pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.fitting import fit
from tenfold.data.images import pillow_pixels, read_image
from tenfold.data.source import Shape
from tenfold.errors import ImageError, UsageError
from tenfold.recipe.sections import Resize

CHANNELS = (1, 3, 4)
EXPECTED = "a path, the bytes of an image file, an array or a Pillow image"


def is_array(value: Any) -> bool:
    """Whether a value holds numbers: an array of NumPy, a tensor of PyTorch and the like."""
    return hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def is_pillow(value: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def read(value: Any, shape: Shape | None = None, *, resize: Resize = "stretch", unit: bool | None = None) -> np.ndarray:
    """An image as uint8 [h, w, c], with 1 channel if it is grey, or brought to `shape`.

    Arrays are [h, w], [h, w, c] or [c, h, w] with 1, 3 or 4 channels: whole numbers from 0 to 255, or decimals from
    0 to 1 (if `unit`; by default if none is greater than 1) or from 0 to 255. Raises ImageError if the image can't be
    read, UsageError for a value that is no image.
    """
    if isinstance(value, str | bytes | os.PathLike):
        return read_image(value if isinstance(value, bytes) else Path(value), shape, resize=resize)
    if is_pillow(value):
        return pillow_pixels(value, shape, resize=resize)
    if not is_array(value):
        raise UsageError(f"an image: received {kind_of(value)}; expected {EXPECTED}")
    pixels = from_array(np.asarray(value), unit)
    return pixels if shape is None or pixels.shape == shape else brought(pixels, shape, resize)


def from_array(values: np.ndarray, unit: bool | None = None) -> np.ndarray:
    """The array of one image as uint8 [h, w, c]; see `read`. Raises ImageError."""
    if values.dtype.kind not in "uifb" or values.ndim not in (2, 3) or not values.size:
        raise ImageError(f"an array {values.dtype} {list(values.shape)} is no image; expected numbers "
                         "[height, width] or [height, width, channels]")
    pixels = values[..., np.newaxis] if values.ndim == 2 else values
    if pixels.shape[2] not in CHANNELS and pixels.shape[0] in CHANNELS:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2] not in CHANNELS:
        raise ImageError(f"an array {values.dtype} {list(values.shape)} is no image; expected 1 or 3 channels")
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 255):  # NaN is not
            raise ImageError(f"it holds values from {low:g} to {high:g}; expected 0 to 255, or 0 to 1: leave out what "
                             "subtracts the mean")
        scale = 255.0 if pixels.dtype.kind in "fb" and (high <= 1 if unit is None else unit) else 1.0
        pixels = np.rint(pixels * scale).astype(np.uint8)
    if pixels.shape[2] == 4:
        from PIL import Image

        return pillow_pixels(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.ascontiguousarray(pixels)


def brought(pixels: np.ndarray, shape: Shape, resize: Resize) -> np.ndarray:
    """Pixels uint8 [h, w, 1 or 3] brought to the size and the channels of `shape`."""
    if pixels.shape[2] == 3 and shape[2] == 1:
        from PIL import Image

        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
    elif pixels.shape[2] < shape[2]:
        pixels = np.repeat(pixels, shape[2], axis=2)
    return fit((pixels.shape[0], pixels.shape[1]), shape, resize).apply(pixels)


def kind_of(value: Any) -> str:
    """The type of a value in words, never its content: "an int", "an array float32 [8, 8]"."""
    if is_array(value):
        return f"an array {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, list | tuple):
        first = f" (the first: {kind_of(value[0])})" if value else ""
        return f"a {type(value).__name__} of {len(value):,} values{first}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
