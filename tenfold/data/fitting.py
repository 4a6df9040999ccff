"""Bring an image to another height and width: pad, crop or stretch it, then interpolate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.recipe.sections import Resize

GAP = 3.0  # a large image is averaged down to at least this many times its final size, then interpolated


@dataclass(frozen=True)
class Fit:
    """Scale a part of an image to a size, and put that at a place in a black image of `shape`.

    box: the part as (left, top, right, bottom) in pixels of the image; inner: height and width of the scaled part;
    place: its first row and column; shape: height, width and channels of the result.
    """

    box: tuple[float, float, float, float]
    inner: tuple[int, int]
    place: tuple[int, int]
    shape: tuple[int, int, int]

    @property
    def across(self) -> float:
        """How many pixels of the image go into one pixel of the result, across."""
        return (self.box[2] - self.box[0]) / self.inner[1]

    @property
    def down(self) -> float:
        """The same, down."""
        return (self.box[3] - self.box[1]) / self.inner[0]

    def apply(self, pixels: np.ndarray, across: float = 1, down: float = 1) -> np.ndarray:
        """The result, uint8 of `shape`, from an image uint8 [h, w, c] that was scaled down by `across` and `down`."""
        height, width, _ = self.shape
        if pixels.shape[:2] == self.inner and self.box == (0, 0, pixels.shape[1] * across, pixels.shape[0] * down):
            scaled = pixels
        else:
            scaled = self._scaled(pixels, across, down)
        if self.inner == (height, width):
            return scaled
        result = np.zeros(self.shape, np.uint8)
        top, left = self.place
        result[top : top + self.inner[0], left : left + self.inner[1]] = scaled
        return result

    def _scaled(self, pixels: np.ndarray, across: float, down: float) -> np.ndarray:
        from PIL import Image

        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        left, top, right, bottom = self.box
        box = (left / across, top / down, right / across, bottom / down)
        resized = image.resize(self.inner[::-1], Image.Resampling.BILINEAR, box=box, reducing_gap=GAP)
        return np.array(resized).reshape(*self.inner, self.shape[2])


def fitted(pixels: np.ndarray, shape: tuple[int, int, int], how: Resize) -> np.ndarray:
    """An image uint8 [h, w, 1 or 3] brought to `shape` (height, width, channels)."""
    if pixels.shape[2] != shape[2]:
        pixels = in_channels(pixels, shape[2])
    return fit((pixels.shape[0], pixels.shape[1]), shape, how).apply(np.ascontiguousarray(pixels))


def in_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """An image uint8 [h, w, 1 or 3] with 1 or 3 channels: grey by the luminance of ITU-R 601, as image files have."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(*pixels.shape[:2], channels)


def fit(size: tuple[int, int], shape: tuple[int, int, int], how: Resize) -> Fit:
    """How an image of `size` (height, width) becomes one of `shape` (height, width, channels)."""
    (rows, columns), (height, width, _) = size, shape
    box, inner = (0.0, 0.0, float(columns), float(rows)), (height, width)
    if how == "pad":
        scale = min(height / rows, width / columns)
        inner = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    elif how == "crop":
        scale = max(height / rows, width / columns)
        left, top = (columns - width / scale) / 2, (rows - height / scale) / 2
        box = (max(0.0, left), max(0.0, top), min(columns, columns - left), min(rows, rows - top))
    return Fit(box, inner, ((height - inner[0]) // 2, (width - inner[1]) // 2), shape)
