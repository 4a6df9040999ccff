"""The values: what a split holds, what taking from it gives, and what names its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import dataset
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.view import Images, View
from tenfold.errors import DataError


def split(count: int = 20, groups: np.ndarray | None = None) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return Split(images, np.arange(count) % 2, Provenance("made up"), groups)


def test_take_copies_no_images() -> None:
    whole = split()
    part = whole.take(np.array([5, 2, 7])).take(np.array([2, 0]))
    assert isinstance(part.images, View)
    assert part.images.base is whole.images
    assert np.array_equal(part.images, whole.images[[7, 5]])
    assert part.labels.tolist() == [1, 1]


def test_groups_are_selected_with_the_images_and_must_match_them() -> None:
    part = split(groups=np.arange(20) // 4).take(np.array([0, 19]))
    assert part.groups is not None
    assert part.groups.tolist() == [0, 4]
    assert split().take(np.array([0])).groups is None
    with pytest.raises(DataError, match=r"groups are int64 \[3\]; expected int64 \[20\]"):
        split(groups=np.arange(3))


def test_the_fingerprint_is_the_hash_of_shape_labels_and_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.data.view.BLOCK", 7 * 48)
    whole = split()
    images = np.asarray(whole.images)
    np.save(tmp_path / "images.npy", images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), whole.labels, whole.provenance)
    for rows in (np.arange(20), np.array([3, 1]), np.array([], np.int64)):
        expected = hashlib.sha256(repr(images[rows].shape).encode() + whole.labels[rows].tobytes()
                                  + images[rows].tobytes()).hexdigest()
        assert whole.take(rows).fingerprint() == mapped.take(rows).fingerprint() == expected


def test_a_fingerprint_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counted(images: Images, labels: np.ndarray) -> str:
        computed.append(len(images))
        return "f"

    monkeypatch.setattr(dataset, "content_hash", counted)
    made = Dataset("x", "x", ("a", "b"), train=split(20), test=split(10))
    assert made.fingerprint() == made.fingerprint()
    assert (made.train.fingerprint(), made.test.fingerprint()) == ("f", "f")  # type: ignore[union-attr]
    assert computed == [20, 10]
