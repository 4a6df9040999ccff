"""The ONNX graph of each kind of layer computes what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from tenfold.backend import keras
from tenfold.errors import UsageError
from tenfold.export import onnxgraph
from tenfold.models import build
from tenfold.recipe import Recipe

L = keras.layers


def _tokens(x: Any) -> Any:
    return L.Reshape((48, 6))(L.Conv2D(6, 2, strides=2, padding="same")(x))


def _attend(x: Any) -> Any:
    tokens = _tokens(x)
    return L.MultiHeadAttention(2, 3)(tokens, tokens)


def _squeeze_and_excite(x: Any) -> Any:
    x = L.Conv2D(6, 3)(x)
    gate = L.Reshape((1, 1, 6))(L.GlobalAveragePooling2D()(x))
    return L.Multiply()([x, L.Conv2D(6, 1, activation="sigmoid")(gate)])


# What to test → from a symbolic batch of images [n, 11, 16, 3] to features.
LAYERS: dict[str, Callable[[Any], Any]] = {
    "conv-same-strided": lambda x: L.Conv2D(5, 3, strides=2, padding="same", activation="relu")(x),
    "conv-even-kernel": lambda x: L.Conv2D(5, 4, padding="same", use_bias=False)(x),
    "conv-dilated-grouped": lambda x: L.Conv2D(6, 3, dilation_rate=2, groups=3, padding="same")(x),
    "depthwise": lambda x: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x),
    "separable": lambda x: L.SeparableConv2D(4, 3, padding="valid", activation="tanh")(x),
    "max-pool-same": lambda x: L.MaxPooling2D(3, strides=2, padding="same")(x),
    "average-pool-same": lambda x: L.AveragePooling2D(2, padding="same")(x),
    "average-pool-wide": lambda x: L.AveragePooling2D(3, strides=1, padding="same")(x),
    "global-max": lambda x: L.GlobalMaxPooling2D()(L.Conv2D(4, 3)(x)),
    "global-average-kept": lambda x: L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(4, 3)(x)),
    "batch-norm": lambda x: L.BatchNormalization(scale=False)(L.Conv2D(4, 3)(x)),
    "batch-norm-flat": lambda x: L.BatchNormalization(center=False)(L.Dense(7)(L.Flatten()(x))),
    "batch-norm-tokens": lambda x: L.BatchNormalization()(L.Reshape((88, 6))(x)),
    "normalization": lambda x: L.Normalization(mean=[100, 110, 120], variance=[9, 16, 25])(x),
    "layer-norm": lambda x: L.LayerNormalization()(L.Conv2D(4, 3)(x)),
    "group-norm": lambda x: L.GroupNormalization(2)(L.Conv2D(4, 3)(x)),
    "rescaling-per-channel": lambda x: L.Rescaling([0.1, 0.2, 0.3], offset=[1, 2, 3])(x),
    "padding-and-cropping": lambda x: L.Cropping2D(((1, 2), (0, 3)))(L.ZeroPadding2D(((0, 1), (2, 0)))(x)),
    "centre-crop": lambda x: L.CenterCrop(6, 9)(x),
    "resizing-up": lambda x: L.Resizing(23, 17)(x),
    "resizing-down": lambda x: L.Resizing(7, 5, interpolation="bilinear")(x),
    "resizing-nearest": lambda x: L.Resizing(19, 8, interpolation="nearest")(x),
    "resizing-bicubic": lambda x: L.Resizing(23, 29, interpolation="bicubic")(x),
    "up-sampling": lambda x: L.UpSampling2D(2)(x),
    "up-sampling-bilinear": lambda x: L.UpSampling2D((3, 2), interpolation="bilinear")(x),
    "permute": lambda x: L.Permute((3, 1, 2))(x),
    "reshape": lambda x: L.Reshape((-1, 6))(x),
    "merge": lambda x: L.Add()([L.Conv2D(3, 1)(x), x, L.Conv2D(3, 3, padding="same")(x)]),
    "subtract": lambda x: L.Subtract()([x, L.Conv2D(3, 1)(x)]),
    "average": lambda x: L.Average()([x, L.Conv2D(3, 1)(x)]),
    "maximum": lambda x: L.Maximum()([x, L.Conv2D(3, 1)(x)]),
    "concatenate": lambda x: L.Concatenate()([x, L.Conv2D(4, 1)(x)]),
    "concatenate-rows": lambda x: L.Concatenate(axis=1)([x, L.Conv2D(3, 1)(x)]),
    "squeeze-and-excite": _squeeze_and_excite,
    "numbers": lambda x: x * 0.5 + 3.0,
    "arrays": lambda x: (x - np.array([100.0, 110.0, 120.0], np.float32)) / np.full((1, 1, 1, 3), 50.0, np.float32),
    "array-after-convolution": lambda x: L.Conv2D(4, 3)(x) * np.linspace(0.5, 1, 4, dtype=np.float32),
    "array-of-a-map": lambda x: L.GlobalAveragePooling2D(keepdims=True)(x) * np.ones((5, 7, 3), np.float32),
    "array-after-pooling": lambda x: L.GlobalAveragePooling2D()(x) + np.arange(3, dtype=np.float32),
    "dense-on-maps": lambda x: L.Dense(5, activation="gelu")(x),
    "attention": _attend,
    "einsum": lambda x: L.EinsumDense("abc,cd->abd", output_shape=(88, 5), bias_axes="d")(L.Reshape((88, 6))(x)),
    "relu-limited": lambda x: L.ReLU(max_value=40.0)(x - 90.0),
    "relu-sloped": lambda x: L.ReLU(negative_slope=0.2)(x - 90.0),
    "leaky-relu": lambda x: L.LeakyReLU(negative_slope=0.1)(x - 90.0),
    "prelu": lambda x: L.PReLU(shared_axes=[1, 2])(L.Conv2D(4, 3)(x)),
    "elu": lambda x: L.ELU(alpha=0.7)(L.Conv2D(4, 3)(x)),
    "softmax-on-maps": lambda x: L.Softmax()(L.Conv2D(4, 3)(x)),
    "dropped": lambda x: L.GaussianNoise(0.5)(L.SpatialDropout2D(0.5)(L.Dropout(0.5)(x))),
    **{f"activation-{name}": lambda x, name=name: L.Activation(name)(L.Conv2D(6, 3)(x)) for name in (
        "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh", "sigmoid", "hard_sigmoid",
        "hard_silu", "hard_tanh", "softmax", "log_softmax", "softplus", "softsign", "exponential")},
}


def compare(model: keras.Model, rng: np.random.Generator) -> None:
    """Assert that the ONNX model gives the logits of the Keras model, with random weights, for one and five images."""
    for variable in model.variables:
        values = np.asarray(variable.value.detach())
        if values.dtype == np.float32:
            noise = rng.normal(0, 0.2, values.shape)
            variable.assign(np.abs(values + noise) + 0.1 if "variance" in variable.path else values + noise)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    session = onnxruntime.InferenceSession(onnxgraph.build(model, 2.0, {"classes": ["a"]}).SerializeToString())
    for count in (1, 5):
        images = rng.integers(0, 256, (count, *model.input_shape[1:]), np.uint8)
        with torch.no_grad():
            expected = keras.Model(model.inputs, model.get_layer("logits").output)(
                torch.from_numpy(images.astype(np.float32)), training=False).numpy()
        found = session.run(["logits"], {"pixels": images})[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4 * max(1, np.abs(expected).max()))
        assert expected.std() > 1e-3


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_same_numbers(name: str, rng: np.random.Generator) -> None:
    inputs = keras.Input((11, 16, 3), name="pixels")
    x = LAYERS[name](L.Rescaling(0.05)(inputs) if name.startswith("activation") else inputs)
    x = L.Dense(3, name="logits")(L.Flatten()(x) if len(x.shape) > 2 else x)
    compare(keras.Model(inputs, L.Softmax(name="probabilities")(x)), rng)


@pytest.mark.parametrize(("options", "said"), [
    ({"use_causal_mask": True}, "use_causal_mask"), ({"return_attention_scores": True}, "return_attention_scores"),
    ({"attention_mask": np.ones((1, 48, 48), bool)}, "arrays of numbers"),
], ids=["causal", "scores", "mask"])
def test_options_of_a_call_without_an_onnx_form_are_named(options: dict[str, Any], said: str) -> None:
    inputs = keras.Input((11, 16, 3), name="pixels")
    found = L.MultiHeadAttention(2, 3, name="attend")(_tokens(inputs), _tokens(inputs), **options)
    x = L.Dense(3, name="logits")(L.Flatten()(found[0] if isinstance(found, tuple) else found))
    with pytest.raises(UsageError, match=f"layer 'attend': received .*{said}.*no ONNX form"):
        onnxgraph.build(keras.Model(inputs, L.Softmax(name="probabilities")(x)), 1.0, {})


@pytest.mark.parametrize("section", [
    {"name": "mlp", "hidden": [8], "activation": "gelu"},
    {"name": "cnn", "filters": [4, 8, 8, 8], "activation": "elu", "pool": "average", "norm": "batch-per-block"},
    {"name": "speednet", "filters": [4, 8, 8], "image_size": 24},
    {"name": "pretrained", "backbone": "MobileNetV2", "weights": "none"},
], ids=lambda section: section["name"])
def test_a_network_gives_the_same_numbers(section: dict[str, Any], rng: np.random.Generator) -> None:
    compare(build(Recipe.from_dict({"model": section}).model, (33, 32, 1), 4), rng)
