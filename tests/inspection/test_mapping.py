"""The map of all images: neighbours stay neighbours, a second look is read from the cache, poor data are no error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.inspection import mapping
from tenfold.inspection.mapping import image_map, principal_components, spread
from tenfold.progress import SILENT


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    return tmp_path


def data(images: np.ndarray, labels: np.ndarray) -> Dataset:
    """Images [n, h, w] as a data set whose last fifth is the test split."""
    pixels, cut = images[..., np.newaxis].astype(np.uint8), len(images) * 4 // 5
    train, test = (Split(pixels[part], labels[part].astype(np.int64), Provenance("made")) for part in
                   (slice(cut), slice(cut, None)))
    return Dataset("made", "made", tuple(map(str, range(10))), train, test=test)


def digits(count: int) -> Dataset:
    bunch = load_digits()
    return data(bunch.images[:count] * 15, bunch.target[:count])


def pixels(dataset: Dataset, _watcher: object) -> np.ndarray:
    parts = [split.images[:].reshape(len(split), -1) for split in dataset.splits().values()]
    return np.concatenate(parts).astype(np.float32)


def test_images_of_a_class_lie_together() -> None:
    dataset = digits(400)
    drawn = image_map(dataset, SILENT, pixels)
    labels = np.concatenate([split.labels for split in dataset.splits().values()])
    assert drawn.method == "openTSNE"
    assert drawn.places.shape == (400, 2)
    assert drawn.places.min() >= 0
    assert drawn.places.max() <= 1
    assert KNeighborsClassifier(5).fit(drawn.places[:300], labels[:300]).score(drawn.places[300:], labels[300:]) > 0.85


def test_a_second_look_needs_no_features() -> None:
    def refused(*_: object) -> np.ndarray:
        raise AssertionError("the map should be in the cache")

    first = image_map(digits(60), SILENT, pixels)
    np.testing.assert_array_equal(image_map(digits(60), SILENT, refused).places, first.places)
    with pytest.raises(AssertionError):
        image_map(digits(61), SILENT, refused)


def test_few_images_and_a_missing_package_give_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    assert image_map(digits(5), SILENT, pixels).method == "PCA"
    monkeypatch.setattr(mapping, "installed", lambda *names: False)
    drawn = image_map(digits(200), SILENT, pixels)
    assert drawn.method == "PCA"
    assert np.ptp(drawn.places, axis=0).max() == pytest.approx(1)


@pytest.mark.parametrize("count", [2, 80])
def test_equal_images_share_a_place(count: int) -> None:
    dataset = data(np.full((count + 1, 4, 4), 9), np.arange(count + 1) % 2)
    places = image_map(dataset, SILENT, pixels).places
    np.testing.assert_allclose(places, 0.5)


def test_pairs_of_equal_images_do_not_stop_the_map() -> None:
    bunch = load_digits()
    rows = np.repeat(np.arange(60), 20)  # more copies than neighbours
    places = image_map(data(bunch.images[rows] * 15, bunch.target[rows]), SILENT, pixels).places
    assert np.isfinite(places).all()
    assert np.ptp(places, axis=0).max() == pytest.approx(1)


def test_components_without_variance_are_zero() -> None:
    line = np.array([(number, 1, 0) for number in range(1, 6)], np.float32)
    found = principal_components(line)
    assert found.shape[1] >= 2
    assert np.abs(found[:, 0]).max() > 0.01
    assert spread(np.zeros((0, 2))).shape == (0, 2)
    assert spread(np.array([[3.0, 4.0]])).tolist() == [[0.5, 0.5]]
