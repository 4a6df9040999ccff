"""Images to label are unsure ones, unlike one another."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.evaluation.selection import choose, margins


def test_the_margin_is_the_difference_of_the_two_highest_probabilities() -> None:
    assert margins(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]])) == pytest.approx([0.5, 0.0])


def test_each_image_is_chosen_once_and_the_seed_decides(rng: np.random.Generator) -> None:
    p, features = rng.dirichlet(np.ones(4), 50), rng.normal(size=(50, 6))
    assert sorted(choose(p, features, 50)) == list(range(50))
    assert choose(p, features, 20, seed=1).tolist() == choose(p, features, 20, seed=1).tolist()
    assert choose(p, features, 20, seed=1).tolist() != choose(p, features, 20, seed=2).tolist()


def test_unsure_images_are_preferred(rng: np.random.Generator) -> None:
    unsure = np.arange(200) < 100
    p = np.where(unsure[:, None], [0.5, 0.5], [0.99, 0.01])
    chosen = choose(p, rng.normal(size=(200, 8)), 40)
    assert unsure[chosen].mean() > 0.9


def test_copies_of_an_image_are_not_chosen_together(rng: np.random.Generator) -> None:
    features = np.repeat(rng.normal(size=(10, 8)), 3, axis=0)
    chosen = choose(np.full((30, 2), 0.5), features, 10)
    assert sorted(chosen // 3) == list(range(10))


def test_more_than_all_different_images_can_be_chosen() -> None:
    assert sorted(choose(np.full((5, 2), 0.5), np.ones((5, 3)), 5)) == [0, 1, 2, 3, 4]
