"""What looks new is far from everything known."""

from __future__ import annotations

import numpy as np

from tenfold.evaluation.novelty import Familiar


def test_rarity_of_familiar_images_is_uniform_and_of_new_ones_small(rng: np.random.Generator) -> None:
    def draw(count: int, shift: float) -> np.ndarray:
        centres = np.eye(4, 16)[rng.integers(0, 4, count)] * 6
        return centres + shift * np.eye(16)[10] + rng.normal(size=(count, 16)) * 0.5

    familiar = Familiar(draw(400, 0.0))
    same, other = (familiar.rarity(familiar.distances(draw(400, shift))) for shift in (0.0, 20.0))
    assert 0.02 < (same <= 0.05).mean() < 0.09
    assert (other <= 0.05).mean() > 0.8
    assert (same > 0).all()
    assert (same <= 1).all()


def test_the_distance_does_not_depend_on_the_scale_of_a_feature(rng: np.random.Generator) -> None:
    known, new, scale = rng.normal(size=(50, 4)), rng.normal(size=(9, 4)), np.array([1, 10, 100, 0.1])
    assert np.allclose(Familiar(known).distances(new), Familiar(known * scale).distances(new * scale), atol=1e-5)


def test_two_known_images_and_constant_features_suffice() -> None:
    familiar = Familiar(np.ones((2, 3)))
    assert np.isfinite(familiar.rarity(familiar.distances(np.zeros((1, 3))))).all()
