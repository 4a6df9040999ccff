"""Batches are the rows that were asked for, wherever the images lie, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tenfold.data.view import Images, View
from tenfold.training.loader import Loader

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)
ROWS = np.random.default_rng(1).permutation(30)[:25]


@pytest.fixture(params=["array", "read-only", "r", "c"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    """The images in memory, or mapped from a file in that mode."""
    if request.param == "array":
        return IMAGES
    np.save(tmp_path / "images.npy", IMAGES)
    if request.param == "read-only":
        read = IMAGES.copy()
        read.flags.writeable = False
        return read
    return np.load(tmp_path / "images.npy", mmap_mode=request.param)


@pytest.mark.parametrize("chosen", [False, True], ids=["whole", "view"])
def test_batches_are_the_requested_rows(images: Images, chosen: bool) -> None:
    expected = IMAGES[ROWS] if chosen else IMAGES
    loader = Loader(View(images, ROWS) if chosen else images, np.arange(len(expected)))
    index = torch.tensor([7, 0, 7, 24])
    assert np.array_equal(loader.images(index).numpy(), expected[index.numpy()])
    assert np.array_equal(loader.images(slice(3, 9)).numpy(), expected[3:9])
    assert loader.images(index).is_contiguous()
    assert [len(batch) for batch in loader.batches(10, 15)] == [10, 5]
    assert [len(batch) for batch in loader.batches(20, 1000)] == [20, len(expected) - 20]
    assert np.array_equal(torch.cat(list(loader.batches(10))).numpy(), expected)


def test_images_in_memory_are_not_copied() -> None:
    writable = IMAGES.copy()
    assert np.shares_memory(Loader(writable, np.zeros(30, np.int64)).images(slice(2, 5)).numpy(), writable)


def test_arrays_move_to_a_device_at_once_and_memory_maps_batch_by_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    labels = np.zeros(30, np.int64)
    for images, resident in ((IMAGES, True), (mapped, False), (View(mapped, np.arange(30)), False)):
        loader = Loader(images, labels, "meta")  # holds shapes, no values
        assert (loader._resident is not None) == resident
        assert loader.labels.device.type == loader.images(torch.arange(3)).device.type == "meta"
        assert loader.images(torch.arange(3)).shape == (3, 4, 4, 3)
