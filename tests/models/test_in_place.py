"""Activations in place: only where nothing else reads their input, but everywhere in the networks of Tenfold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.models import build, inference
from tenfold.models.layers import ActivationLayer
from tenfold.recipe import Recipe
from tenfold.registry import MODELS

NETWORKS = {
    "batch norm": {"name": "cnn", "filters": [4], "norm": "batch"},
    "an activation after pooling": {"name": "cnn", "filters": [4, 4]},
    "mlp": {"name": "mlp", "hidden": [8], "norm": "batch"},
    "speednet": {"name": "speednet", "filters": [8, 8]},
}


def residual(layers: Any, x: Any) -> Any:
    x = layers.conv(4)(x)
    return keras.layers.Add()([x, layers.conv(4)(layers.activation("relu")(x))])


def residual_through_layers_that_return_their_input(layers: Any, x: Any) -> Any:
    x = layers.conv(4)(x)
    return keras.layers.Add()([x, layers.activation("relu")(layers.dropout(0.0)(keras.layers.Identity()(x)))])


def on_the_scaled_pixels(layers: Any, x: Any) -> Any:
    return keras.layers.Add()([layers.activation("relu")(x), x])


def twice(layers: Any, x: Any) -> Any:
    return layers.activation("relu")(layers.conv(4, activation="tanh")(x))


DRAWN = [residual, residual_through_layers_that_return_their_input, on_the_scaled_pixels, twice]


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a model of the user's own."""
    draw: Callable[[Any, Any], Any] = request.param

    @MODELS.add("own")
    def own(layers: Any, x: Any) -> Any:
        return layers.flatten()(draw(layers, x))

    yield "own"
    MODELS._entries.pop("own")


@pytest.mark.parametrize("drawn", DRAWN, ids=[draw.__name__ for draw in DRAWN], indirect=True)
def test_an_activation_leaves_alone_what_is_used_elsewhere(drawn: str) -> None:
    section = Recipe.from_dict({"model": {"name": drawn}}).model
    keras.utils.set_random_seed(0)
    plain, fast = build(section, (8, 8, 3), 4), build(section, (8, 8, 3), 4, fast=True)
    fast.set_weights(plain.get_weights())
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.float32))
    x, labels = pixels.permute(0, 3, 1, 2), torch.arange(5) % 4
    expected, found = plain(pixels, training=True), fast(x, training=True)
    torch.testing.assert_close(F.softmax(found, 1), expected, atol=1e-5, rtol=0)
    F.nll_loss(expected.log(), labels).backward()
    F.cross_entropy(found, labels).backward()
    for a, b in zip(plain.trainable_variables, fast.trainable_variables, strict=True):
        torch.testing.assert_close(b.value.grad, a.value.grad, atol=2e-5, rtol=2e-3)
    with torch.inference_mode():
        torch.testing.assert_close(F.softmax(inference.compiled(fast)(x), 1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_the_networks_of_tenfold_compute_every_activation_in_place(options: dict[str, object]) -> None:
    section = Recipe.from_dict({"model": {**options, "activation": "relu"}}).model
    found = [layer for layer in build(section, (12, 12, 3), 4, fast=True).layers if isinstance(layer, ActivationLayer)]
    assert found
    assert all(layer.in_place for layer in found)
