"""Bringing an image to another shape: what is kept, where it stands, and how it is scaled."""

from __future__ import annotations

import numpy as np
import pytest
from made_images import drawn
from PIL import Image

from tenfold.data.fitting import fit, in_channels


def test_padding_keeps_all_of_the_image_in_the_middle_of_black() -> None:
    image = drawn(0, 20, 40)
    result = fit((20, 40), (40, 40, 3), "pad").apply(image)
    assert np.array_equal(result[10:30], image)
    assert not result[:10].any()
    assert not result[30:].any()


def test_cropping_keeps_the_middle() -> None:
    image = drawn(0, 20, 40)
    assert np.array_equal(fit((20, 40), (20, 20, 3), "crop").apply(image), image[:, 10:30])


def test_stretching_keeps_all_and_fills_all() -> None:
    image = np.zeros((20, 40, 1), np.uint8)
    image[:, 20:] = 200
    result = fit((20, 40), (20, 20, 1), "stretch").apply(image)
    assert np.array_equal(result[:, :9], image[:, :9])
    assert (result[:, 11:] == 200).all()


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (16, 16), (7, 300), (33, 31)])
def test_every_size_becomes_the_shape(how: str, size: tuple[int, int]) -> None:
    for channels in (1, 3):
        image = np.full((*size, channels), 100, np.uint8)
        result = fit(size, (16, 24, channels), how).apply(image)
        assert (result.shape, result.dtype) == ((16, 24, channels), np.uint8)
        assert set(np.unique(result)) <= {0, 100}
        assert how == "pad" or result.min() == 100


def test_an_image_of_the_shape_is_not_changed() -> None:
    image = drawn(0, 16, 24)
    for how in ("pad", "crop", "stretch"):
        assert np.array_equal(fit((16, 24), (16, 24, 3), how).apply(image), image)


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
def test_an_image_that_was_scaled_down_before_has_nearly_the_same_result(how: str) -> None:
    image = drawn(3, 240, 320)
    plan = fit((240, 320), (24, 30, 3), how)
    half = np.asarray(Image.fromarray(image).reduce(2))
    assert np.abs(plan.apply(half, 2, 2).astype(int) - plan.apply(image)).mean() < 1.5


def test_colour_becomes_grey_as_in_image_files_and_grey_three_equal_channels() -> None:
    image = drawn(0)
    grey = in_channels(image, 1)
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    assert np.array_equal(in_channels(grey, 3), np.repeat(grey, 3, axis=2))
