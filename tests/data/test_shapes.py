"""Drawn shapes: repeatable, balanced, independent splits, and harder as asked."""

import hashlib

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tenfold.data import open_dataset
from tenfold.data.options import Option, parse_options
from tenfold.data.shapes import SHAPES, draw
from tenfold.errors import UsageError


def small(options: str = ""):
    return open_dataset(f"shapes:train=300,test=100,size=16{options}")


def test_the_uri_shows_all_options_with_their_defaults():
    dataset = open_dataset("shapes:train=50,test=20")
    assert dataset.uri == "shapes:difficulty=0.5,seed=0,train=50,test=20,size=32"
    assert dataset.shape == (32, 32, 3)
    assert dataset.classes == tuple(SHAPES)
    assert open_dataset(dataset.uri).fingerprint() == dataset.fingerprint()


def test_classes_are_balanced():
    dataset = small()
    assert np.bincount(dataset.train.labels).tolist() == [30] * 10
    assert np.bincount(dataset.test.labels).tolist() == [10] * 10
    assert dataset.train.labels[:30].tolist() != sorted(dataset.train.labels[:30])


def test_the_seed_determines_the_images_and_splits_are_disjoint():
    assert small(",seed=3").fingerprint() == small(",seed=3").fingerprint()
    assert small(",seed=3").fingerprint() != small(",seed=4").fingerprint()
    dataset = small()
    train, test = ({hashlib.sha256(image.tobytes()).hexdigest() for image in split.images}
                   for split in dataset.splits().values())
    assert len(train) == 300
    assert not train & test


def test_the_size_of_one_split_does_not_change_the_other():
    assert np.array_equal(small().test.images, open_dataset("shapes:train=400,test=100,size=16").test.images)


def test_easy_shapes_have_the_expected_areas(rng):
    """At difficulty 0 the share of pixels that differ from the background orders shapes by their area."""
    images, labels = draw(400, 32, 0.0, rng)
    ground = images[:, :2, :2].mean(axis=(1, 2))
    inked = (abs(images - ground[:, None, None]).max(axis=3) > 40).mean(axis=(1, 2))
    area = {name: inked[labels == i].mean() for i, name in enumerate(SHAPES)}
    assert area["circle"] > area["ring"] > area["crescent"] * 0.9
    assert area["square"] > area["triangle"]
    assert area["hexagon"] > area["star"]
    assert 0.1 < min(area.values()) < max(area.values()) < 0.4


def test_edges_are_antialiased(rng):
    images, labels = draw(100, 32, 0.0, rng)
    image = images[labels == list(SHAPES).index("circle")][0].astype(int).sum(axis=2)
    low, high = np.quantile(image, [0.05, 0.95])
    between = ((image > low + 0.3 * (high - low)) & (image < high - 0.3 * (high - low))).mean()
    assert 0.01 < between < 0.2


def test_a_higher_difficulty_lowers_the_accuracy():
    scores = []
    for difficulty in (0, 0.25, 0.5, 1):
        dataset = open_dataset(f"shapes:difficulty={difficulty},train=1000,test=500,size=16")
        model = KNeighborsClassifier(5).fit(dataset.train.images.reshape(1000, -1), dataset.train.labels)
        scores.append(model.score(dataset.test.images.reshape(500, -1), dataset.test.labels))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.6
    assert scores[-1] < 0.25


def test_all_invalid_options_are_reported_at_once():
    with pytest.raises(UsageError) as caught:
        open_dataset("shapes:dificulty=1,seed=x,train=5,size,seed=1,difficulty=nan")
    message = str(caught.value)
    assert "unknown option 'dificulty'; did you mean 'difficulty'?" in message
    assert "seed: received 'x'; expected a whole number from 0" in message
    assert "train: received '5'; expected a whole number from 20" in message
    assert "'size': expected key=value" in message
    assert "seed: given twice" in message
    assert "difficulty: received 'nan'; expected a number from 0 to 1" in message
    assert "\n" not in message


def test_options_are_parsed_with_the_type_of_their_default():
    known = {"share": Option(0.5, 0, 1), "count": Option(3, 0, 9)}
    assert parse_options("x", "", known) == {"share": 0.5, "count": 3}
    assert parse_options("x", " count = 4 , share=1 ", known) == {"share": 1.0, "count": 4}
    with pytest.raises(UsageError, match=r"received '2\.5'"):
        parse_options("x", "count=2.5", known)
    with pytest.raises(UsageError, match="received 'inf'"):
        parse_options("x", "share=inf", known)
