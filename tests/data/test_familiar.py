"""Images unlike the training images are noticed by their brightness and contrast; ordinary ones are not."""

from __future__ import annotations

import numpy as np

import tenfold
from tenfold.data.familiar import pixel_ranges, unlike


def test_ordinary_digits_are_familiar_and_inverted_or_blank_ones_are_not() -> None:
    images = tenfold.open_dataset("digits").train.images
    ranges = pixel_ranges(images[:1500])
    assert unlike(images[1500:], ranges).mean() < 0.02
    assert unlike(255 - images[1500:], ranges).all()
    assert unlike(np.zeros((2, 8, 8, 1), np.uint8), ranges).all()
    assert unlike(images[:0], ranges).shape == (0,)


def test_the_ranges_are_those_of_numpy() -> None:
    images = tenfold.open_dataset("digits").train.images
    flat = images.reshape(len(images), -1).astype(float)
    ranges = pixel_ranges(images)
    np.testing.assert_allclose(ranges["mean"], np.quantile(flat.mean(1), [0.001, 0.999]))
    np.testing.assert_allclose(ranges["sd"], np.quantile(flat.std(1), [0.001, 0.999]))


def test_identical_training_images_tolerate_one_grey_level() -> None:
    same = np.full((10, 4, 4, 3), 100, np.uint8)
    assert not unlike(same, pixel_ranges(same)).any()
    assert unlike(same + 3, pixel_ranges(same)).all()
