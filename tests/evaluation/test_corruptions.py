"""Corruptions do what their definition says, harder with severity, and the same every time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from watchers import Listen

from tenfold.data import open_dataset
from tenfold.data.dataset import Provenance, Split
from tenfold.errors import UnknownNameError
from tenfold.evaluation import corruptions
from tenfold.evaluation.corruptions import SEVERITIES, corruption
from tenfold.evaluation.robustness import robustness
from tenfold.registry import CORRUPTIONS


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Forty drawn shapes, uint8 [40, 32, 32, 3]."""
    return np.asarray(open_dataset("shapes:train=40,test=10").train.images)


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (2, 17, 23, 3), (0, 8, 8, 3)], ids=str)
@pytest.mark.parametrize("name", CORRUPTIONS.names())
def test_a_corruption_keeps_shape_dtype_and_seed(name, shape, rng):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    changed = corruption(name)(images, 3)
    assert (changed.shape, changed.dtype) == (shape, np.uint8)
    assert (images == before).all()
    assert (corruption(name)(images, 3) == changed).all()
    assert len(corruption(name).levels) == len(SEVERITIES)
    if name.endswith("noise") and images.size:
        assert (corruption(name)(images, 3, seed=1) != changed).any()


@pytest.mark.parametrize("name", CORRUPTIONS.names())
def test_a_corruption_grows_with_severity(name, images):
    distance = [np.abs(corruption(name)(images, severity).astype(float) - images).mean() for severity in SEVERITIES]
    assert distance[0] > 0 or name == "defocus_blur"  # a disk of 0.3 pixels is one pixel, hardly softened
    assert distance[-1] > 1.1 * distance[0]
    assert np.mean(np.diff(distance) >= 0) >= 0.75


def test_noise_has_the_stated_strength():
    grey = np.full((50, 32, 32, 3), 128, np.uint8)
    noisy = corruption("gaussian_noise")(grey, 5) / 255
    assert noisy.std() == pytest.approx(0.10, rel=0.02)
    shots = corruption("shot_noise")(grey, 5) / 255
    assert shots.std() == pytest.approx(np.sqrt(128 / 255 / 50), rel=0.03)
    impulses = corruption("impulse_noise")(grey, 5)
    assert [(impulses == value).mean() for value in (0, 255)] == pytest.approx([0.035, 0.035], rel=0.05)


def test_blur_keeps_the_mean_and_spreads_a_point():
    point = np.zeros((1, 33, 33, 1))
    point[0, 16, 16] = 1
    for name in ("defocus_blur", "gaussian_blur"):
        known = corruption(name)
        spread = known.function(point, known.levels[-1], np.random.default_rng(0))[0, :, :, 0]
        assert spread.sum() == pytest.approx(1)
        np.testing.assert_allclose(spread, spread.T)
        assert spread[16, 16] < 0.5
    flat = np.full((1, 32, 32, 3), 77, np.uint8)
    assert (corruption("zoom_blur")(flat, 5) == 77).all()


def test_brightness_raises_the_value_and_keeps_the_hue():
    pixels = np.array([[[[100, 50, 0], [0, 0, 0], [250, 250, 250]]]], np.uint8).repeat(8, axis=1)
    bright = corruption("brightness")(pixels, 5)[0, 0].tolist()
    assert bright == [[176, 88, 0], [76, 76, 76], [255, 255, 255]]


def test_contrast_shrinks_the_distance_from_the_mean():
    pixels = np.array([0, 200], np.uint8).repeat(32).reshape(1, 8, 8, 1)
    assert sorted(set(corruption("contrast")(pixels, 5).ravel().tolist())) == [85, 115]


def test_jpeg_and_pixelate_are_pillows(images):
    file = io.BytesIO()
    Image.fromarray(images[0]).save(file, "JPEG", quality=40)
    assert (corruption("jpeg")(images[:1], 5)[0] == np.asarray(Image.open(file))).all()
    small = Image.fromarray(images[0]).resize((20, 20), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
    assert (corruption("pixelate")(images[:1], 5)[0] == np.asarray(small)).all()


@pytest.mark.parametrize("name", ["gaussian_noise", "contrast", "jpeg"])
def test_large_splits_are_corrupted_in_parts(name, images, monkeypatch):
    whole = corruption(name)(images, 3)
    monkeypatch.setattr(corruptions, "VALUES_PER_BLOCK", 2 * images[0].size)
    assert (corruption(name)(images, 3) == whole).all()
    assert corruption(name)(images[:0], 3).shape == (0, *images.shape[1:])


def test_an_unknown_corruption_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'pixelate'"):
        corruption("pixelated")


def test_robustness_is_accuracy_by_corruption_and_severity(images):
    class Bright:
        """Says "bright" of images whose mean is above that of the clean ones."""

        classes, shape = ("dark", "bright"), images.shape[1:]

        def predict(self, batch: np.ndarray, batch_size: int = 500) -> np.ndarray:
            share = (batch.mean(axis=(1, 2, 3)) > images.mean()).astype(float)
            return np.stack([1 - share, share], axis=1)

    labels = Bright().predict(images).argmax(axis=1)
    found = robustness(Bright(), Split(images, labels.astype(np.int64), Provenance("drawn")), (listen := Listen()))
    assert found["clean"]["value"] == 1.0
    assert list(found["corruptions"]) == CORRUPTIONS.names()
    accuracy = [entry["value"] for entry in found["corruptions"]["brightness"]["accuracy"]]
    assert accuracy[-1] == pytest.approx((labels == 1).mean())
    shares = [entry["value"] for each in found["corruptions"].values() for entry in each["accuracy"]]
    assert found["mean"]["value"] == pytest.approx(np.mean(shares))
    assert found["mean"]["low"] <= found["mean"]["value"] <= found["mean"]["high"]
    assert len(listen.said) == len(CORRUPTIONS.names())
