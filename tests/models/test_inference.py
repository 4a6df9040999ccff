"""Compiled networks against the networks themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.backend import keras
from tenfold.models import build, inference
from tenfold.recipe import Recipe

NETWORKS = {
    "a chain with batch normalisation": {"name": "cnn", "filters": [8, 16], "convolutions": 2, "norm": "batch"},
    "an activation before the normalisation": {"name": "speednet", "filters": [8, 16, 16]},
    "no convolution": {"name": "mlp", "hidden": [8]},
    "residual blocks": {"name": "pretrained", "backbone": "EfficientNetLite0", "weights": "none"},
    "activations by name": {"name": "pretrained", "backbone": "ResNet50", "weights": "none"},
}


def network(options: dict[str, object], dtype: str = "float32") -> keras.Model:
    """A fast network with statistics and scales that differ from channel to channel."""
    keras.utils.set_random_seed(0)
    model = build(Recipe.from_dict({"model": options}).model, (40, 36, 3), 4, fast=True, dtype=dtype)
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(w + rng.normal(0, 0.1, w.shape)) if w.ndim == 1 else w for w in model.get_weights()])
    return model


def images(count: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, 3, 40, 36)).astype(np.float32))


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_a_compiled_network_computes_the_same(options: dict[str, object]) -> None:
    model, x = network(options), images()
    before = x.clone()
    with torch.inference_mode():
        expected, found = model(x, training=False), inference.compiled(model)(x)
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    assert torch.equal(x, before)


def test_batch_normalisation_and_activations_become_part_of_the_convolutions() -> None:
    model = network(NETWORKS["residual blocks"])
    steps, _, last = inference._recorded(model)
    kinds = [type(step.operation).__name__ for step in inference._fused(steps, last)]
    assert not {"BatchNormalization", "ReLU6"} & set(kinds)
    assert sum(kind in ("Conv2D", "DepthwiseConv2D") for kind in kinds) == 49


def test_large_feature_maps_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(NETWORKS["residual blocks"])
    with torch.inference_mode():
        expected = inference.compiled(model)(images())
        monkeypatch.setattr(inference, "LARGEST_MAP", 2 * 96 * 20 * 18)  # two images at a time
        found = inference.compiled(model)(images())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_normalised_map_that_is_used_twice_stays_a_map_of_its_own() -> None:
    """In place, the ReLU would also change the values that are added to its own."""
    from tenfold.models.layers import BatchNormalization, Conv2D, ReLU6

    inputs = keras.Input((3, 40, 36))
    x = Conv2D(4, 3, data_format="channels_first")(inputs)
    x = BatchNormalization(axis=1)(x)
    model = keras.Model(inputs, keras.layers.Add()([x, ReLU6(6)(x)]))
    with torch.inference_mode():
        expected, found = model(images(), training=False), inference.compiled(model)(images())
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def test_in_bfloat16_the_folded_weights_are_as_exact_as_the_others() -> None:
    exact, mixed = (network(NETWORKS["a chain with batch normalisation"], dtype)
                    for dtype in ("float32", "mixed_bfloat16"))
    with torch.inference_mode():
        expected, plain, found = exact(images()), mixed(images()), inference.compiled(mixed)(images())
    spread = float((plain - expected).abs().mean())
    assert float((found - expected).abs().mean()) < 2 * spread


def test_every_result_of_an_operation_is_kept() -> None:
    inputs = keras.Input((3, 40, 36))
    tokens = keras.layers.Reshape((36, 120))(keras.layers.Rescaling(1 / 255)(inputs))
    mixed, scores = keras.layers.MultiHeadAttention(2, 4)(tokens, tokens, return_attention_scores=True)
    whole, _, cell = keras.layers.LSTM(4, return_state=True)(mixed)
    model = keras.Model(inputs, keras.layers.Concatenate()([whole, cell, keras.layers.Flatten()(scores)]))
    with torch.inference_mode():
        torch.testing.assert_close(inference.compiled(model)(images()), model(images(), training=False))


def test_an_activation_may_be_a_layer() -> None:
    from tenfold.models.layers import BatchNormalization, Conv2D, Dense

    inputs = keras.Input((3, 40, 36))

    def drawn(convolution: type, dense: type) -> keras.Model:
        x = convolution(4, 3, activation=keras.layers.LeakyReLU(negative_slope=0.3), data_format="channels_first")(
            keras.layers.Rescaling(1 / 255)(inputs))
        x = keras.layers.Activation(keras.layers.ReLU(max_value=0.5))(BatchNormalization(axis=1)(x))
        return keras.Model(inputs, dense(3, activation=keras.layers.ELU())(keras.layers.Flatten()(x)))

    plain, fast = drawn(keras.layers.Conv2D, keras.layers.Dense), drawn(Conv2D, Dense)
    fast.set_weights(plain.get_weights())
    with torch.inference_mode():
        expected, x = plain(images(), training=False), images()
        torch.testing.assert_close(fast(x, training=False), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(inference.compiled(fast)(x), expected, atol=1e-5, rtol=1e-4)
