"""Suspected label errors and odd images, on features with known faults."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.errors import ModelFileError
from tenfold.inspection import inspect
from tenfold.inspection.labels import out_of_fold, suspected
from tenfold.inspection.nearest import reduced, reference_distance
from tenfold.progress import SILENT

CLASSES, EACH = 4, 100
WRONG = np.arange(0, CLASSES * EACH, 20)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))


def blobs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features float32 [400, 24], right labels, labels with 5 % wrong ones)."""
    rng = np.random.default_rng(0)
    right = np.repeat(np.arange(CLASSES), EACH)
    features = rng.normal(0, 1, (len(right), 24)) + 5 * np.eye(CLASSES, 24)[right]
    given = right.copy()
    given[WRONG] = (right[WRONG] + 1) % CLASSES
    return features.astype(np.float32), right, given


def test_wrong_labels_are_suspected_and_few_others() -> None:
    features, _, given = blobs()
    p = out_of_fold(features, given, np.arange(len(given)), CLASSES, SILENT)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
    rows = [row for row, _ in suspected(given, p)]
    assert len(set(rows) & set(WRONG)) >= 0.8 * len(WRONG)
    assert len(set(rows) - set(WRONG)) <= 0.2 * len(rows)
    scores = [score for _, score in suspected(given, p)]
    assert scores == sorted(scores, reverse=True)


def test_images_of_a_group_are_judged_together() -> None:
    """A copy with the same wrong label must not confirm it."""
    features, _, given = blobs()
    doubled, labels = np.concatenate([features, features]), np.concatenate([given, given])
    groups = np.tile(np.arange(len(given)), 2)
    together = out_of_fold(doubled, labels, groups, CLASSES, SILENT)
    assert np.allclose(together[: len(given)], together[len(given) :], atol=1e-5)


def dataset(labels: np.ndarray) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16, 3), np.uint8)
    return Dataset("blobs", "", tuple("abcd"), Split(images, labels, Provenance("drawn")))


def test_findings_name_the_likely_class_and_odd_images() -> None:
    features, right, given = blobs()
    features[33] = np.random.default_rng(1).normal(0, 30, 24)
    result = inspect(dataset(given), features=lambda: features)
    errors = {int(each.images[0].partition(":")[2]): each for each in result.of("label_error")}
    assert errors[WRONG[1]].label == "abcd"[right[WRONG[1]]]
    assert [each.images for each in result.of("odd")][:1] == [("train:33",)]


def test_without_a_backbone_the_rest_is_still_looked_for() -> None:
    def missing() -> np.ndarray:
        raise ModelFileError("the weights are not installed; expected them")

    labels = np.arange(80) % 4
    result = inspect(dataset(labels), features=missing)
    assert set(result.skipped) == {"odd", "label_error"}
    assert result.skipped["odd"] == "the weights are not installed; expected them"


def test_too_few_images_of_a_class_are_said() -> None:
    labels = np.array([0] * 30 + [1] * 30 + [2] * 3 + [3] * 30)
    result = inspect(dataset(labels), features=lambda: np.random.default_rng(0).normal(size=(93, 8)).astype(np.float32))
    assert result.skipped == {"label_error": "class c: received fewer than 5 different images; expected at least 5 to "
                              "look for label errors: add images"}


def test_equal_features_have_no_odd_one() -> None:
    same = np.ones((60, 8), np.float32)
    assert reduced(same, 8).shape[0] == 60
    assert (reference_distance(same) < 1e-5).all()
    assert inspect(dataset(np.arange(60) % 4), features=lambda: same).of("odd") == []
