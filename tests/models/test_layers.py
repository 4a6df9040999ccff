"""The fast layers against their plain Keras twins: same weights, forward, backward, running statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.models import build
from tenfold.models.layers import Conv2D, Layers, forward
from tenfold.models.masks import dropout_mask
from tenfold.recipe import Recipe

NETWORKS = {
    "cnn": {"name": "cnn", "filters": [8, 16], "dense": [16]},
    "batch norm": {"name": "cnn", "filters": [8, 16], "convolutions": 2, "norm": "batch", "dense": [16]},
    "batch norm per block, averages": {"name": "cnn", "filters": [8, 16], "norm": "batch-per-block", "pool": "average",
                                       "activation": "gelu", "pooling": "global-average"},
    "silu, even kernel": {"name": "cnn", "filters": [8], "kernel_size": 4, "activation": "silu", "dense": []},
    "more poolings than pixels": {"name": "cnn", "filters": [4, 4, 4, 4, 4], "activation": "elu"},
    "mlp": {"name": "mlp", "hidden": [32, 16], "norm": "batch", "activation": "tanh"},
    "speednet": {"name": "speednet", "filters": [8, 16, 16]},
    "speednet, three convolutions, unwhitened": {"name": "speednet", "filters": [8, 12], "convolutions": 3,
                                                 "whitening": False, "initial": "glorot", "activation": "gelu"},
    "resized": {"name": "cnn", "filters": [8], "image_size": 16},
}


def twins(options: dict[str, object], shape: tuple[int, int, int] = (12, 12, 3)) -> tuple[keras.Model, keras.Model]:
    """The plain and the fast network with the same weights, the running statistics not trivial."""
    section = Recipe.from_dict({"model": options}).model
    keras.utils.set_random_seed(0)
    plain, fast = build(section, shape, 4), build(section, shape, 4, fast=True)
    rng = np.random.default_rng(0)
    plain.set_weights([np.abs(w + rng.normal(0, 0.1, w.shape)) if w.ndim == 1 else w for w in plain.get_weights()])
    fast.set_weights(plain.get_weights())
    return plain, fast


def images(shape: tuple[int, int, int] = (12, 12, 3), count: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """The same pixels as the plain network takes them and as the fast one does."""
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(np.float32))
    return pixels, pixels.permute(0, 3, 1, 2)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_fast_layers_predict_like_keras_layers(options: dict[str, object]) -> None:
    plain, fast = twins(options)
    x, x_fast = images()
    with torch.no_grad():
        torch.testing.assert_close(F.softmax(fast(x_fast, training=False), 1), plain(x, training=False),
                                   atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_fast_layers_train_like_keras_layers(options: dict[str, object]) -> None:
    plain, fast = twins(options)
    x, x_fast = images()
    labels = torch.arange(len(x)) % 4
    losses = [F.nll_loss(plain(x, training=True).log(), labels), F.cross_entropy(fast(x_fast, training=True), labels)]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)
    for a, b in zip(plain.trainable_variables, fast.trainable_variables, strict=True):
        torch.testing.assert_close(b.value.grad, a.value.grad, atol=2e-5, rtol=2e-3)
    for a, b in zip(plain.non_trainable_variables, fast.non_trainable_variables, strict=True):
        torch.testing.assert_close(b.value, a.value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_a_chain_of_layers_computes_the_same_as_its_network(options: dict[str, object], training: bool) -> None:
    fast, x = twins(options)[1], images()[1]
    chain = forward(fast)
    assert chain is not fast
    torch.testing.assert_close(chain(x, training=training), fast(x, training=training), atol=0, rtol=0)


def test_only_a_plain_chain_of_layers_is_run_as_a_chain() -> None:
    inputs = keras.Input((6,))
    dense = keras.layers.Dense(6)
    x = dense(inputs)
    networks = {"a sum": keras.layers.Add()([x, inputs]), "a layer twice in a row": dense(x),
                "a layer again after another": keras.layers.ReLU()(dense(keras.layers.Dense(6)(x))),
                "a sum of one": keras.layers.Add()([x]), "a bare product": x * 2}
    for name, outputs in networks.items():
        network = keras.Model(inputs, outputs)
        assert forward(network) is network, name
    chain = keras.Model(inputs, keras.layers.ReLU()(x))
    assert forward(chain) is not chain


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_bfloat16_stays_near_float32(options: dict[str, object]) -> None:
    plain, fast = twins(options)
    low = build(Recipe.from_dict({"model": options}).model, (12, 12, 3), 4, fast=True, dtype="mixed_bfloat16")
    low.set_weights(plain.get_weights())
    _, x = images()
    with torch.no_grad():
        exact, near = fast(x, training=False), low(x, training=False)
    assert near.dtype == torch.float32
    assert (near - exact).abs().max() <= 0.05 * exact.abs().max()


@pytest.mark.parametrize("side", [(12, 12), (13, 10)], ids=str)
@pytest.mark.parametrize("options", [
    {}, {"padding": "same"}, {"strides": 2}, {"strides": 2, "padding": "same"}, {"strides": (1, 3), "padding": "same"},
    {"kernel_size": 4, "strides": 3, "padding": "same"}, {"kernel_size": (1, 4), "padding": "same"},
    {"dilation_rate": 2, "padding": "same"}, {"groups": 3}, {"activation": "relu"}, {"activation": "sigmoid"},
], ids=str)
def test_a_convolution_computes_the_same_as_in_keras(options: dict[str, object], side: tuple[int, int]) -> None:
    config = {"filters": 6, "kernel_size": 3, "bias_initializer": "uniform", **options}
    plain, fast = keras.layers.Conv2D(**config), Conv2D(**config, data_format="channels_first")
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, *side, 3)).astype(np.float32))
    expected = plain(x)
    fast.build((None, 3, *side))
    fast.set_weights(plain.get_weights())
    torch.testing.assert_close(fast(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(64, 512), (16, 32, 20, 20)])
def test_dropout_drops_its_fraction_and_keeps_the_mean(rate: float, shape: tuple[int, ...]) -> None:
    x = torch.ones(shape)
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    mask = dropout_mask(x, round(256 * rate))
    assert mask.stride() == x.stride()
    n = x.numel()
    dropped = float((mask == 0).float().mean())
    assert abs(dropped - round(256 * rate) / 256) < 4 * (rate * (1 - rate) / n) ** 0.5
    assert mask.max() == pytest.approx(256 / (256 - round(256 * rate)))
    assert float(mask.mean()) == pytest.approx(1, abs=0.05)


def test_dropout_follows_pytorchs_seed_and_never_repeats_within_it() -> None:
    x = torch.ones(100, 100)
    torch.manual_seed(3)
    first, second = dropout_mask(x, 128), dropout_mask(x, 128)
    torch.manual_seed(3)
    assert torch.equal(dropout_mask(x, 128), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("rate", "share"), [(0.001, 1 / 256), (0.999, 255 / 256)])
def test_dropout_rounds_its_rate_to_the_nearest_possible_one(rate: float, share: float) -> None:
    torch.manual_seed(0)
    y = Layers(fast=True).dropout(rate)(torch.ones(1000, 512), training=True)
    assert float((y == 0).float().mean()) == pytest.approx(share, abs=2e-4)
    assert float(y.max()) == pytest.approx(1 / (1 - share))


def test_batch_normalisation_of_a_single_value_gives_beta_as_keras_does() -> None:
    x = torch.tensor([[3.0, -1.0]])
    outcomes = []
    for fast in (True, False):
        layer = Layers(fast=fast).batch_norm()
        layer.build(x.shape)
        layer.beta.assign([0.5, 0.25])
        outcomes.append([layer(x, training=True).detach(), *(v.value.detach() for v in layer.non_trainable_variables)])
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_unbuilt_layers_and_several_inputs_use_the_call_of_keras() -> None:
    x = np.ones((2, 3), np.float32)
    assert Layers(fast=True).dense(4)(torch.from_numpy(x)).shape == (2, 4)
    assert (Layers(fast=True).dropout(0.9)(np.ones((50, 50)), training=True) == 0).any()


@pytest.mark.parametrize("strides", [(64, 64, 8, 1), (64, 1, 8, 1)])
def test_a_convolution_of_grey_images_returns_channels_last_memory(strides: tuple[int, ...]) -> None:
    x = torch.arange(192.0).as_strided((3, 1, 8, 8), strides).requires_grad_()
    layer = Conv2D(4, 3, data_format="channels_first", padding="same")
    layer.build(x.shape)
    y = layer(x)
    y.sum().backward()
    assert y.is_contiguous(memory_format=torch.channels_last)
    kernel = layer.kernel.value.detach().permute(3, 2, 0, 1)
    torch.testing.assert_close(y, F.conv2d(x, kernel, padding=1), atol=1e-4, rtol=1e-5)
    assert x.grad is not None


def test_dropout_does_nothing_in_inference() -> None:
    _, fast = twins({"name": "mlp", "hidden": [16], "dropout": 0.5})
    _, x = images()
    with torch.no_grad():
        assert torch.equal(fast(x, training=False), fast(x, training=False))


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 14, 3), (28, 28, 1), (32, 32, 3)])
def test_every_size_from_eight_pixels_builds(shape: tuple[int, int, int]) -> None:
    plain, fast = twins({"name": "cnn", "filters": [4, 4, 4, 4]}, shape)
    assert [w.shape for w in plain.weights] == [w.shape for w in fast.weights]
    x, x_fast = images(shape)
    with torch.no_grad():
        torch.testing.assert_close(F.softmax(fast(x_fast, training=False), 1), plain(x, training=False),
                                   atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_whitening_gives_uncorrelated_values_of_unit_variance_and_their_negatives(channels: int) -> None:
    section = Recipe.from_dict({"model": {"name": "speednet", "filters": [8]}}).model
    model = build(section, (16, 16, channels), 4, fast=True)
    noise = np.random.default_rng(0).normal(120, 40, (400, channels, 17, 17))
    rows = noise[..., 1:, :] + noise[..., :-1, :]
    smooth = (rows[..., 1:] + rows[..., :-1]) / 4  # neighbours are alike, as in images
    x = torch.from_numpy(smooth.astype(np.float32)) / 127.5 - 1
    layer = model.get_layer("whitening")
    layer.adapt(x.split(150))
    with torch.no_grad():
        y = layer(x).permute(0, 2, 3, 1).reshape(-1, 8 * channels)
    half = 4 * channels
    torch.testing.assert_close(y[:, half:], -y[:, :half], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(y.mean(0), torch.zeros(8 * channels), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(y[:, :half].T), torch.eye(half), atol=2e-2, rtol=0)
    assert not layer.trainable_variables


def test_whitening_does_not_amplify_directions_with_little_variance() -> None:
    section = Recipe.from_dict({"model": {"name": "speednet", "filters": [8]}}).model
    layer = build(section, (8, 8, 1), 4, fast=True).get_layer("whitening")
    for x in (torch.zeros(10, 1, 8, 8), torch.arange(64.0).reshape(1, 1, 8, 8).expand(10, 1, 8, 8)):
        layer.adapt([x])
        assert all(np.isfinite(w).all() for w in layer.get_weights())
        assert float(layer(x).detach().abs().max()) < 10


def test_a_dirac_kernel_copies_its_input_channels() -> None:
    section = Recipe.from_dict({"model": {"name": "speednet", "filters": [16], "whitening": False}}).model
    model = build(section, (8, 8, 3), 4, fast=True)
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        y = convolution(x)
    torch.testing.assert_close(y[:, :3], x)
    assert float(y[:, 3:].abs().sum()) > 0


def test_speednet_takes_images_of_other_sizes() -> None:
    speednet = build(Recipe.from_dict({"model": {"name": "speednet", "filters": [8, 8, 8]}}).model, (32, 32, 3), 4,
                     fast=True)
    for size in (8, 16, 31, 40):
        assert tuple(speednet(torch.rand(2, 3, size, size), training=False).shape) == (2, 4)
