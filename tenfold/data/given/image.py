"""One image given as a Python value: a path, bytes, an array or a Pillow image, as uint8 pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.fitting import fitted
from tenfold.data.images import image_files, pillow_pixels, read_image, values_in_words
from tenfold.data.source import Shape
from tenfold.errors import ImageError, UsageError, type_of
from tenfold.recipe.sections import Resize

CHANNELS = (1, 3, 4)
EXPECTED = "a path, the bytes of an image file, an array or a Pillow image"


def is_array(value: Any) -> bool:
    """Whether a value holds numbers: an array of NumPy, a tensor of PyTorch and the like."""
    return hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def is_pillow(value: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def each_image(values: Any, channels: int) -> Iterator[Any]:
    """Each image of a value: one image, an array of many, or a list of either; paths of folders give their files.

    An array [3, h, w] is one image if `channels` is 3, else three grey ones. Raises UsageError for a path that does not
    exist, a folder without images or a value of another type.
    """
    if isinstance(values, str | os.PathLike):
        yield from image_files([Path(values)])
    elif isinstance(values, bytes) or is_pillow(values):
        yield values
    elif is_array(values):
        if len(values.shape) < 2:
            raise UsageError(f"images: received {kind_of(values)}; expected {EXPECTED}, or a list of them")
        one = len(values.shape) == 2 or (len(values.shape) == 3 and (
            values.shape[-1] in CHANNELS or values.shape[0] == channels == 3))
        yield from [values] if one else values
    elif isinstance(values, Iterable) and not isinstance(values, Mapping):
        for value in values:
            if isinstance(value, list | tuple):
                raise UsageError(f"images: received {kind_of(value)} in a list; expected {EXPECTED}")
            yield from each_image(value, channels)
    else:
        raise UsageError(f"images: received {kind_of(values)}; expected {EXPECTED}, or a list of them")


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
    return pixels if shape is None or pixels.shape == shape else fitted(pixels, shape, resize)


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
            raise ImageError(f"it holds {values_in_words(low, high)}; expected 0 to 255, or 0 to 1: pass the images "
                             "before the mean is subtracted")
        scale = 255.0 if pixels.dtype.kind in "fb" and (high <= 1 if unit is None else unit) else 1.0
        pixels = np.rint(pixels * scale).astype(np.uint8)
    if pixels.shape[2] == 4:
        from PIL import Image

        return pillow_pixels(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.ascontiguousarray(pixels)


def kind_of(value: Any) -> str:
    """The type of a value in words, never its content: "an int", "an array float32 [8, 8]"."""
    if is_array(value):
        return f"an array {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, list | tuple):
        first = f" (the first: {kind_of(value[0])})" if value else ""
        return f"a {type(value).__name__} of {counted(len(value), 'value')}{first}"
    return type_of(value)
