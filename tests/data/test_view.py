"""Views of images: the same rows as an array would give, and nothing read before it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.data.view import View, blocks


@pytest.fixture(params=["array", "map"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> np.ndarray:
    """uint8 [20, 4, 4, 3]: in memory, or a read-only map of a file."""
    made = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    if request.param == "array":
        return made
    np.save(tmp_path / "images.npy", made)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


@pytest.mark.parametrize("rows", [[3, 1, 1, 19], [], [-1, 0]], ids=str)
def test_a_view_gives_the_rows_that_an_array_would(images: np.ndarray, rows: list[int]) -> None:
    index = np.array(rows, np.int64)
    view, expected = View(images, index), images[index]
    assert (view.shape, view.dtype, len(view)) == (expected.shape, np.uint8, len(rows))
    assert np.array_equal(np.asarray(view), expected)
    assert np.asarray(view, np.float32).dtype == np.float32
    for wanted in (slice(1, 3), np.arange(len(rows))[::-1]):
        assert np.array_equal(view[wanted], expected[wanted])
    if rows:
        assert np.array_equal(view[0], expected[0])


def test_a_view_of_a_view_refers_to_the_base_array(images: np.ndarray) -> None:
    view = View(View(images, np.arange(20)[::-1]), np.array([0, 5]))
    assert view.base is images
    assert view.rows.tolist() == [19, 14]
    assert np.array_equal(view[:], images[[19, 14]])


def test_an_index_out_of_range_is_refused_when_the_view_is_made(images: np.ndarray) -> None:
    with pytest.raises(IndexError):
        View(images, np.array([20]))


def test_an_array_of_a_view_is_a_copy(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(View(images, np.array([1])), copy=False)


def test_blocks_cover_all_images_in_order(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.data.view.BLOCK", 7 * 48)
    for each in (images, View(images, np.arange(20))):
        found = list(blocks(each))
        assert [len(block) for block in found] == [7, 7, 6]
        assert np.array_equal(np.concatenate(found), images)
    monkeypatch.setattr("tenfold.data.view.BLOCK", 1)
    assert [len(block) for block in blocks(images[:3])] == [1, 1, 1]
    assert list(blocks(images[:0])) == []
