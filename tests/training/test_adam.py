"""Adam by the fused kernel takes the steps of Keras' Adam."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.backend import keras
from tenfold.models import build
from tenfold.recipe import Recipe
from tenfold.training import engine
from tenfold.training.adam import FusedAdam
from tenfold.training.loader import Loader

SHAPES = ((64, 32), (32,))


@pytest.mark.parametrize("decay", [None, 0.01])
@pytest.mark.parametrize("size", [1.0, 1e-7])  # of gradients: far above epsilon, and about as great as it
def test_fused_adam_takes_the_steps_of_keras_adam(size: float, decay: float | None) -> None:
    rng = np.random.default_rng(0)
    initial = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
    reached = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        optimizer = kind(1e-2, weight_decay=decay)
        variables = [keras.Variable(values) for values in initial]
        optimizer.build(variables)
        torch.manual_seed(0)
        for _ in range(20):
            optimizer.apply([size * torch.randn(shape) for shape in SHAPES])
        reached.append(([v.numpy() for v in variables], [v.numpy() for v in optimizer.variables]))
    (ours, our_state), (theirs, their_state) = reached
    assert all(abs(values - start).max() > 1e-3 for values, start in zip(ours, initial, strict=True))
    for got, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    for got, expected in zip(our_state, their_state, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * abs(expected).max())


def test_fused_adam_takes_the_steps_of_keras_adam_on_a_convnet() -> None:
    section = Recipe.from_dict({"model": {"name": "cnn", "filters": [8, 16], "dense": [16]}})
    rng = np.random.default_rng(0)
    split = Loader(rng.integers(0, 256, (32, 8, 8, 3), np.uint8), np.arange(32) % 4)
    reached = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        with engine.seeded(0):
            model = build(section.model, (8, 8, 3), 4, fast=True)
        learner = engine.Trainer(model, kind(1e-3), section.train, 4)
        for seed in range(5):
            learner.step(split, torch.arange(32), seed)
        reached.append(model.get_weights())
    for ours, theirs in zip(*reached, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
