"""Pixels that no training image has raise the score for unknown images; usual ones leave it as it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tenfold.decisions.packed import pack
from tenfold.decisions.pixels import Usual, statistics
from tenfold.decisions.record import PixelRule, UnknownRule
from tenfold.decisions.unknowns import Unknowns


def photos(count: int, seed: int, side: int = 16, channels: int = 3) -> np.ndarray:
    """Soft coloured clouds with a little noise, as photos have them: uint8 [n, side, side, channels]."""
    rng = np.random.default_rng(seed)
    clouds = gaussian_filter(rng.normal(size=(count, side, side, 1)), (0, 2, 2, 0))
    clouds *= rng.uniform(100, 300, (count, 1, 1, 1))
    light = rng.normal(120, 20, (count, 1, 1, 1)) + rng.normal(0, 8, (count, 1, 1, channels))
    return np.clip(light + clouds + rng.normal(0, 3, (count, side, side, channels)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def usual() -> Usual:
    return Usual.fit(statistics(photos(600, 0)), statistics(photos(300, 1)), 2.0)


def strange(name: str) -> np.ndarray:
    rng, y, x = np.random.default_rng(3), *np.mgrid[:16, :16]
    drawn = {"noise": rng.integers(0, 256, (40, 16, 16, 3)),
             "stripes": 120 + 90 * np.sin(x + rng.uniform(0, 6, (40, 1, 1)))[..., None] + np.zeros(3),
             "flat": np.full((40, 16, 16, 3), 120) + rng.integers(-30, 30, (40, 1, 1, 3)),
             "checkers": 255 * ((x // 4 + y // 4) % 2)[None, ..., None] * np.ones((40, 1, 1, 3))}
    return drawn[name].astype(np.uint8)


@pytest.mark.parametrize("name", ["noise", "stripes", "flat", "checkers"])
def test_pixels_of_another_kind_raise_the_score(usual, name):
    assert (usual.beyond(statistics(strange(name))) > 2.0).all()  # a standard deviation of the score


def test_usual_pixels_leave_the_score_as_it_is(usual):
    assert np.mean(usual.beyond(statistics(photos(1000, 2))) > 0) < 0.03  # the limit is that of 995 of 1,000 images
    assert usual.distance(statistics(photos(600, 0))).mean() == pytest.approx(1, abs=0.1)


def test_the_rule_for_unknown_images_adds_them_up(usual):
    logits, features = np.zeros((40, 3)), np.zeros((40, 2))
    of_noise, of_photos = statistics(strange("noise")), statistics(photos(40, 2))
    plain, rule = (Unknowns("maximum logit", {}, 1.0, 0.05, {}, each) for each in (None, usual))
    assert not plain.found(logits, features, None).any()
    assert rule.found(logits, features, of_noise).all()
    assert not rule.found(logits, features, of_photos).all()
    np.testing.assert_array_equal(rule.scores(logits, features, of_noise), usual.beyond(of_noise))


def test_it_comes_back_from_json_with_the_same_answers(usual):
    rule = Unknowns("maximum logit", {}, 1.0, 0.05, {}, usual)
    text = json.dumps(rule.to_dict())
    assert len(text) < 5000
    again = Unknowns.read(UnknownRule.model_validate(json.loads(text)), 2, len(usual.centre)).usual
    of_noise = statistics(strange("noise"))
    np.testing.assert_allclose(again.beyond(of_noise), usual.beyond(of_noise), rtol=1e-3)


def test_rules_of_earlier_versions_do_without(usual):
    earlier = {"score": "maximum logit", "threshold": 1.0, "false_rejects": 0.05}
    rule = Unknowns.read(UnknownRule.model_validate(earlier), 2, len(usual.centre))
    assert rule.usual is None
    assert rule.scores(np.ones((1, 3)), np.zeros((1, 2)), None) == [-1]


@pytest.mark.parametrize("arrays", [{}, {"centre": pack(np.zeros(33))},
                                    {"centre": pack(np.zeros(33)), "whitening": pack(np.eye(32))},
                                    {"centre": pack(np.zeros(6)), "whitening": pack(np.eye(6))}])
def test_arrays_that_do_not_fit_the_pixels_are_refused(arrays):
    with pytest.raises(ValueError, match="do not fit the statistics of the model's pixels"):
        Usual.read(PixelRule.model_validate({"limit": 1.0, "weight": 1.0, "arrays": arrays}), 33)


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 1, 3), (5, 3, 1), (2, 400, 3), (130, 260, 3)])
def test_images_of_every_shape_have_statistics(shape):
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    found = statistics(images)
    assert np.isfinite(found).all()
    assert found.dtype == np.float32
    assert statistics(images[:0]).shape == (0, found.shape[1])
    np.testing.assert_array_equal(statistics(images[3:]), found[3:])


def test_images_that_are_all_alike_have_a_rule():
    alike = statistics(np.full((30, 8, 8, 1), 7, np.uint8))
    usual = Usual.fit(alike, alike, 1.0)
    assert usual.beyond(alike) == pytest.approx(0)
    assert (usual.beyond(statistics(np.full((1, 8, 8, 1), 200, np.uint8))) > 1).all()
