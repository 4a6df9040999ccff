"""Nearly equal images among many, and the groups that pairs make."""

from __future__ import annotations

import io

import numpy as np
from made_images import drawn
from PIL import Image

from tenfold.data.own.thumbnails import thumbnails
from tenfold.inspection.groups import equal_groups, joined
from tenfold.inspection.near import find_near
from tenfold.progress import SILENT


def photos(count: int) -> np.ndarray:
    """Drawn pictures with some texture, uint8 [n, 48, 48, 3]."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 20, (count, 12, 12, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(np.stack([drawn(i, 48, 48) for i in range(count)]) + noise, 0, 255).astype(np.uint8)


def encoded_anew(image: np.ndarray, quality: int = 40) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def near_pairs(images: np.ndarray) -> set[tuple[int, int]]:
    small = np.rint(thumbnails(images, np.arange(len(images)))).astype(np.uint8)
    return set(map(tuple, find_near(small, SILENT).pairs.tolist()))


def test_copies_are_found_among_many_and_nothing_else() -> None:
    images = photos(1500)  # more than one block
    moved = np.roll(images[7], (3, -3), axis=(0, 1))
    brighter = np.clip(images[1200].astype(int) * 1.2 + 10, 0, 255).astype(np.uint8)
    copies = np.stack([encoded_anew(images[3]), moved, brighter])
    assert near_pairs(np.concatenate([images, copies])) == {(3, 1500), (7, 1501), (1200, 1502)}


def test_images_without_structure_are_no_pair() -> None:
    even = np.full((4, 48, 48, 3), 100, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
    assert near_pairs(even) == set()


def test_equal_images_are_grouped_in_order() -> None:
    groups = equal_groups([b"a", b"b", b"a", b"c", b"b", b"a"])
    assert [group.tolist() for group in groups] == [[0, 2, 5], [1, 4]]


def test_pairs_join_to_groups_with_the_images_that_are_equal() -> None:
    first = np.array([0, 1, 2, 1, 4, 5])  # image 3 equals image 1
    groups = joined(first, np.array([[0, 1], [0, 4]]), np.array([0.99, 0.96]))
    assert [(rows.tolist(), score) for rows, score in groups] == [([0, 1, 3, 4], 0.96)]
    assert joined(first, np.zeros((0, 2), np.int64), np.zeros(0)) == []
