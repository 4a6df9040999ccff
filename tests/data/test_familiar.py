"""Images unlike the training images are noticed by their brightness and contrast; ordinary ones are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tenfold
from tenfold.data.familiar import pixel_ranges, unlike
from tenfold.data.images import read_image


def _png(image: np.ndarray, side: int, filter: str = "BICUBIC") -> bytes:
    """A grey image [h, w, 1], enlarged to a square and encoded."""
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0]).resize((side, side), getattr(Image.Resampling, filter)).save(file, "PNG")
    return file.getvalue()


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
    low, high = np.quantile(flat.std(1), [0.001, 0.999])
    assert ranges["sd"][1] == pytest.approx(high)
    assert ranges["sd"][0] < low  # smoothed images have less contrast


@pytest.mark.parametrize("filter", ["NEAREST", "BILINEAR", "BICUBIC", "LANCZOS"])
def test_an_enlarged_digit_is_like_the_digit(filter: str) -> None:
    images = tenfold.open_dataset("digits").train.images
    read = np.stack([read_image(_png(image, 256, filter), (8, 8, 1)) for image in images[1500:]])
    assert unlike(read, pixel_ranges(images[:1500])).mean() < 0.01


@pytest.mark.real
def test_ordinary_inverted_and_enlarged_mnist(real_data: Path) -> None:
    dataset = tenfold.open_dataset("mnist")
    ranges, test = pixel_ranges(dataset.train.images), np.asarray(dataset.test.images)
    assert unlike(test, ranges).mean() < 0.002
    assert unlike(255 - test, ranges).mean() > 0.99
    small = np.stack([read_image(_png(image, 256), (28, 28, 1)) for image in test[:200]])
    assert not unlike(small, ranges).any()


def test_identical_training_images_tolerate_one_grey_level() -> None:
    same = np.full((10, 4, 4, 3), 100, np.uint8)
    assert not unlike(same, pixel_ranges(same)).any()
    assert unlike(same + 3, pixel_ranges(same)).all()
