"""Known changes keep the shape of images and grow with their strength."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from tenfold.data import open_dataset
from tenfold.evaluation.known_changes import KINDS, Change, changes
from tenfold.registry import CORRUPTIONS


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return open_dataset("shapes:train=20,test=20,seed=1").test.images[:6]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_change_gives_other_images_of_the_same_shape(channels: int, images: np.ndarray) -> None:
    given = images[..., :channels]
    made = list(changes(channels))
    assert len(made) == 3 * (len(KINDS) - (channels == 1))  # grey images have no colours
    for change in made:
        found = change(given)
        assert (found.shape, found.dtype) == (given.shape, np.uint8)
        assert (found != given).any()
        assert (found == change(given)).all()


@pytest.mark.parametrize("kind", ["rotation", "position", "distance", "grain", "resolution", "hidden"])
def test_a_stronger_change_is_farther_from_the_image(kind: str, images: np.ndarray) -> None:
    function, strengths = KINDS[kind]
    far = [np.abs(Change(kind, strength, function)(images).astype(float) - images).mean() for strength in strengths]
    order = strengths if kind != "resolution" else [-strength for strength in strengths]
    assert spearmanr(order, far).statistic == 1


def test_none_of_them_is_a_corruption() -> None:
    assert not set(KINDS) & set(CORRUPTIONS.names())
