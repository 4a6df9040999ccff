"""How alike two images are when one may be shifted against the other."""

from __future__ import annotations

import numpy as np
import pytest
from made_images import drawn

from tenfold.data.own.thumbnails import SIDE, similarity, spectra, thumbnails


def shifted(image: np.ndarray, down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Two views of a larger image, one further down and to the right."""
    return image[6 : 6 + SIDE, 6 : 6 + SIDE], image[6 + down : 6 + down + SIDE, 6 + across : 6 + across + SIDE]


@pytest.fixture
def scene() -> np.ndarray:
    return drawn(7, SIDE + 12, SIDE + 12).mean(axis=2).astype(np.float32)


@pytest.mark.parametrize(("down", "across"), [(0, 0), (2, -3), (-6, 6), (5, 0)])
def test_a_shift_changes_nothing(scene: np.ndarray, down: int, across: int) -> None:
    first, second = shifted(scene, down, across)
    assert similarity(first[None], second[None])[0] == pytest.approx(1, abs=1e-4)
    brighter = np.clip(0.5 * second + 40, 0, 255)
    assert similarity(first[None], brighter[None])[0] == pytest.approx(1, abs=1e-4)


def test_the_similarity_is_the_highest_correlation_of_all_shifts(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    found = similarity(first, second)
    for a, b, value in zip(first, second, found, strict=True):
        best = -1.0
        for down in range(-6, 7):
            for across in range(-6, 7):
                part = a[max(0, down) : SIDE + min(0, down), max(0, across) : SIDE + min(0, across)]
                other = b[max(0, -down) : SIDE + min(0, -down), max(0, -across) : SIDE + min(0, -across)]
                best = max(best, np.corrcoef(part.ravel(), other.ravel())[0, 1])
        assert value == pytest.approx(best, abs=1e-4)


def test_pairs_that_are_far_less_alike_than_asked_for_need_no_close_look(
    scene: np.ndarray, rng: np.random.Generator
) -> None:
    noise = rng.normal(size=(1, SIDE, SIDE)).astype(np.float32)
    first, second = shifted(scene, 1, 2)
    assert similarity(first[None], noise, least=0.9)[0] == -1
    assert similarity(first[None], second[None], least=0.9)[0] == pytest.approx(1, abs=1e-4)


def test_an_image_without_structure_is_like_no_other(scene: np.ndarray) -> None:
    flat = np.full((1, SIDE, SIDE), 128, np.float32)
    assert similarity(flat, flat)[0] == -1
    assert similarity(flat, scene[None, :SIDE, :SIDE])[0] == -1


def test_thumbnails_are_grey_and_small() -> None:
    images = np.stack([drawn(i, 64, 64) for i in range(3)])
    found = thumbnails(images, np.array([2, 0]))
    assert (found.shape, found.dtype) == ((2, SIDE, SIDE), np.float32)
    averages = images[[2, 0]].reshape(2, SIDE, 2, SIDE, 2, 3).mean(axis=(2, 4, 5))
    assert np.abs(found - averages).mean() < 3


def test_the_spectra_of_shifted_views_are_the_nearest(scene: np.ndarray) -> None:
    views = [view for i in range(10) for view in shifted(drawn(i, SIDE + 12, SIDE + 12).mean(axis=2), 3, -2)]
    features = spectra(np.stack(views).astype(np.float32))
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    cosine = features @ features.T
    np.fill_diagonal(cosine, -1)
    partner = np.arange(20) ^ 1
    assert (cosine.argmax(axis=1) == partner).mean() > 0.8
