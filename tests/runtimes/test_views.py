"""Test-time augmentation: which views, with which weights, for which images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tenfold.runtimes.views import WithViews


def classify(images: np.ndarray) -> np.ndarray:
    """A classifier that is neither mirror- nor shift-invariant."""
    weights = np.sin(np.linspace(-1, 1, images[0].size * 3)).reshape(-1, 3)
    return softmax(images.reshape(len(images), -1) / 255 @ weights, axis=1).astype(np.float32)


class Base:
    """A predictor that applies a function to images and records the batch sizes."""

    classes, shape = ("a", "b", "c"), (6, 5, 3)

    def __init__(self, function: Callable[[np.ndarray], np.ndarray] = classify) -> None:
        self.function, self.seen = function, []

    def predict(self, images: Any, batch_size: int = 500) -> np.ndarray:
        self.seen.append(len(images))
        return self.function(images)

    def features(self, images: Any, batch_size: int = 500) -> np.ndarray:
        return images[:, 0, 0, :2].astype(np.float32)


IMAGES = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


def test_mirror_is_the_softmax_of_the_mean_logits_of_both() -> None:
    logits = [np.log(classify(x)) for x in (IMAGES, IMAGES[:, :, ::-1])]
    found = WithViews(Base(), "mirror").predict(IMAGES)
    assert found.dtype == np.float32
    close(found, softmax(sum(logits) / 2, axis=1))


def test_mirror_translate_adds_both_diagonal_shifts_at_half_weight() -> None:
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    logs = [np.log(WithViews(Base(), "mirror").predict(x)) for x in (IMAGES, padded[:, :6, :5], padded[:, 2:, 2:])]
    close(WithViews(Base(), "mirror-translate").predict(IMAGES),
          softmax(0.5 * logs[0] + 0.25 * logs[1] + 0.25 * logs[2], axis=1))


def test_only_uncertain_images_get_more_views() -> None:
    plain, every, counting = classify(IMAGES), WithViews(Base(), "mirror").predict(IMAGES), Base()
    limit = float(np.median(plain.max(axis=1)))
    found = WithViews(counting, "mirror", limit).predict(IMAGES)
    unsure = plain.max(axis=1) < limit
    assert 0 < unsure.sum() < len(IMAGES)
    close(found, np.where(unsure[:, None], every, plain))
    assert counting.seen == [20, unsure.sum()]
    np.testing.assert_array_equal(WithViews(Base(), "mirror", 1e-3).predict(IMAGES), plain)


def test_a_limit_of_one_gives_all_images_more_views() -> None:
    def certain(images: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[(images[:, 0, 0, 0] > 100).astype(int)]

    found = WithViews(Base(certain), "mirror").predict(IMAGES)
    first, mirrored = certain(IMAGES), certain(IMAGES[:, :, ::-1])
    differ = (first != mirrored).any(axis=1)
    assert differ.any()
    close(found[differ], np.tile(np.float32([0.5, 0.5, 0]), (int(differ.sum()), 1)))


@pytest.mark.parametrize("views", ["mirror", "mirror-translate"])
def test_a_predictor_with_views_has_the_predictor_interface(views: str) -> None:
    predictor = WithViews(Base(), views)
    assert (predictor.classes, predictor.shape) == (Base.classes, Base.shape)
    p = predictor.predict(IMAGES)
    close(predictor.predict(IMAGES, batch_size=7), p)
    close(log_softmax(predictor.logits(IMAGES), axis=1), np.log(p))
    np.testing.assert_array_equal(predictor.features(IMAGES), Base().features(IMAGES))
    assert predictor.predict(IMAGES[:0]).shape == (0, 3)
