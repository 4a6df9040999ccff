"""Looks at images: bars of padding count neither as dark nor as border, whatever else is looked at with them."""

from __future__ import annotations

import dataclasses

import numpy as np

from tenfold.inspection.looks import look


def barred(rng: np.random.Generator, top: int = 0, left: int = 0) -> np.ndarray:
    """An image of 24 × 32 pixels with bars of `top` rows above and below, and of `left` columns on both sides."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[top : 24 - top, left : 32 - left] = rng.integers(1, 256, (24 - 2 * top, 32 - 2 * left, 3))
    return image


def test_each_image_looks_as_it_does_alone(rng: np.random.Generator) -> None:
    images = np.stack([barred(rng), barred(rng, top=3), barred(rng, left=5), barred(rng, top=3), barred(rng, top=1),
                       np.zeros((24, 32, 3), np.uint8)])
    together = look(images)
    for i in range(len(images)):
        alone = look(images[i : i + 1])
        for field in dataclasses.fields(alone):
            np.testing.assert_array_equal(getattr(together, field.name)[i], getattr(alone, field.name)[0])


def test_bars_are_not_looked_at(rng: np.random.Generator) -> None:
    image = barred(rng, top=3)
    padded, cut = look(image[np.newaxis]), look(np.ascontiguousarray(image[np.newaxis, 3:-3]))
    for name in ("bright", "contrast", "sharpness", "border"):
        np.testing.assert_allclose(getattr(padded, name), getattr(cut, name), rtol=1e-5)
