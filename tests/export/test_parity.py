"""The images with which an export is checked."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.export import parity


def test_images_go_through_jpeg_files_of_three_sizes(rng: np.random.Generator) -> None:
    images = np.repeat(rng.integers(0, 256, (1, 9, 12, 1), np.uint8), 4, axis=0)
    found = parity.from_files(images)
    assert found.shape == images.shape
    assert np.array_equal(found[0], found[3])
    assert not any(np.array_equal(found[i], found[j]) for i, j in ((0, 1), (1, 2), (0, 2)))


def test_large_images_are_not_enlarged_beyond_what_the_reader_takes(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = rng.integers(0, 256, (3, 9, 12, 1), np.uint8)
    monkeypatch.setattr("tenfold.data.images.MAX_PIXELS", 500)  # four times as many as an image has
    monkeypatch.setattr(parity, "MAX_PIXELS", 500)
    assert parity.from_files(images).shape == images.shape
    monkeypatch.setattr(parity, "MAX_PIXELS", 100)
    assert len(parity.from_files(images)) == 0


def test_images_that_jpeg_can_not_hold_are_left_out(rng: np.random.Generator) -> None:
    for channels in (2, 4):
        assert parity.from_files(rng.integers(0, 256, (3, 9, 12, channels), np.uint8)).shape == (0, 9, 12, channels)
