"""An ensemble is one plain Keras model that gives the mean of its members' calibrated probabilities."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tenfold.backend import keras
from tenfold.modelfile import load
from tenfold.models import build, twin
from tenfold.models.ensemble import build as average
from tenfold.recipe import Recipe
from tenfold.runtimes.fast import Fast

SHAPE, CLASSES = (12, 12, 3), 4
SECTIONS = [{"name": "cnn", "filters": [4, 8], "norm": "batch", "dropout": 0.2}, {"name": "mlp", "hidden": [16]},
            {"name": "speednet", "filters": [4, 8, 8]}]


@pytest.fixture(scope="module")
def members() -> list[tuple[keras.Model, float]]:
    keras.utils.set_random_seed(0)
    models = [build(Recipe.from_dict({"model": section}).model, SHAPE, CLASSES) for section in SECTIONS]
    for model in models:  # as if it had been trained
        last = model.get_layer("logits")
        last.set_weights([3 * last.get_weights()[0], np.linspace(-1, 1, CLASSES, dtype=np.float32)])
    return list(zip(models, (0.5, 1.0, 2.0), strict=True))


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (6, *SHAPE), np.uint8)


def tempered(model: keras.Model, temperature: float, images: np.ndarray) -> np.ndarray:
    logits = keras.Model(model.inputs, model.get_layer("logits").output).predict(images.astype(np.float32), verbose=0)
    powers = np.exp(logits.astype(np.float64) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_probabilities_are_the_mean_of_the_calibrated_ones(members, images) -> None:
    expected = np.mean([tempered(*member, images) for member in members], axis=0)
    assert average(members).predict(images.astype(np.float32), verbose=0) == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(expected, np.mean([tempered(model, 1.0, images) for model, _ in members], axis=0), atol=1e-3)


def test_a_saved_ensemble_loads_as_a_plain_model_and_has_a_fast_twin(members, images, tmp_path: Path) -> None:
    model = average(members)
    expected = model.predict(images.astype(np.float32), verbose=0)
    model.save(tmp_path / "model.keras")
    plain = load(tmp_path / "model.keras")
    assert {type(layer).__module__.partition(".")[0] for layer in plain.layers} == {"keras"}
    assert plain.predict(images.astype(np.float32), verbose=0) == pytest.approx(expected, abs=1e-6)
    facts = {"classes": list("abcd"), "shape": SHAPE}
    fast = Fast(twin(Recipe.from_dict({"model": {"name": "ensemble", "members": []}}, unknown_model=True).model, plain),
                facts)
    assert fast.predict(images) == pytest.approx(expected, abs=1e-5)
    assert np.exp(fast.logits(images)).sum(axis=1) == pytest.approx(1, abs=1e-5)  # they are log-probabilities
    sizes = [member.get_layer("logits").input.shape[-1] for member, _ in members]
    starts = list(itertools.accumulate([0, *sizes]))
    for (member, _), start, size in zip(members, starts, sizes, strict=False):
        features = keras.Model(member.inputs, member.get_layer("logits").input)
        assert fast.features(images)[:, start : start + size] == pytest.approx(
            features.predict(images.astype(np.float32), verbose=0), abs=1e-4)


def test_tiny_probabilities_are_not_lost(members, images) -> None:
    first, second = (keras.models.clone_model(members[1][0]) for _ in range(2))
    for model, sure in ((first, 0), (second, 1)):
        weights = [np.zeros_like(weight) for weight in model.get_layer("logits").get_weights()]
        weights[1][sure] = 500.0  # e^-500 is no float32
        model.get_layer("logits").set_weights(weights)
    model = average([(first, 1.0), (second, 1.0)])
    logits = keras.Model(model.inputs, model.get_layer("logits").output).predict(images.astype(np.float32), verbose=0)
    assert logits == pytest.approx(np.broadcast_to([-np.log(2), -np.log(2), -500, -500], logits.shape), rel=1e-5)
