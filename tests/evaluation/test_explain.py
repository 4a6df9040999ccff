"""Grad-CAM against class activation maps and against a split model; features and neighbours against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors

from tenfold.backend import keras
from tenfold.errors import UsageError
from tenfold.evaluation.explain import explain, features, grad_cam, grad_cam_of, nearest
from tenfold.evaluation.misclassified import Guess
from tenfold.models import build
from tenfold.recipe import Recipe

L = keras.layers


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 16, 12, 3), dtype=np.uint8)


def backbone(shape=(16, 12, 3)):
    inputs = keras.Input(shape)
    x = L.Rescaling(1 / 255)(inputs)
    x = L.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = L.MaxPooling2D()(x)
    left, right = L.Conv2D(4, 1, activation="relu")(x), L.Conv2D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, L.Concatenate()([left, right]), name="backbone")


def pooled(inner, shape=(16, 12, 3), classes=4, last="softmax"):
    inputs = keras.Input(shape)
    x = L.GlobalAveragePooling2D()(inner(inputs))
    if last == "layer":
        return keras.Model(inputs, L.Softmax()(L.Dense(classes)(x)))
    return keras.Model(inputs, L.Dense(classes, activation=last)(x))


def class_activation_maps(model, inner, images, classes):
    """Zhou et al. (2016): with global average pooling before the scores, Grad-CAM is this, up to scale."""
    maps = inner(torch.from_numpy(images.astype(np.float32))).detach()
    kernel = next(layer for layer in model.layers[::-1] if isinstance(layer, L.Dense)).kernel.value.detach()
    heat = F.relu(torch.einsum("nhwk,kn->nhw", maps, kernel[:, classes]))[:, None]
    heat = F.interpolate(heat, size=images.shape[1:3], mode="bilinear")[:, 0].numpy()
    top = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, top, out=np.zeros_like(heat), where=top > 0)


@pytest.mark.parametrize("last", ["softmax", "layer", None])
@pytest.mark.parametrize("depth", [1, 3])
def test_grad_cam_equals_the_class_activation_map_of_a_nested_backbone(images, last, depth):
    inner = nested = backbone()
    for _ in range(depth - 1):
        wrapped = keras.Input((16, 12, 3))
        nested = keras.Model(wrapped, nested(wrapped))
    model = pooled(nested, last=last)
    classes = np.array([0, 1, 2, 3, 1])
    before = model(images.astype(np.float32)).detach().numpy()
    heat = grad_cam(model, images, classes, batch_size=2)
    assert heat.shape == (5, 16, 12)
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat, class_activation_maps(model, inner, images, classes), atol=1e-5)
    assert heat.max() == pytest.approx(1)
    assert heat.min() >= 0
    np.testing.assert_array_equal(model(images.astype(np.float32)).detach().numpy(), before)


def test_grad_cam_equals_the_gradients_of_a_model_split_in_two(images):
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(5, 3, strides=2, activation="tanh")(L.Rescaling(1 / 255)(inputs))
    hidden = keras.Input(x.shape[1:])
    scores = L.Dense(3)(L.Dense(7, activation="gelu")(L.Flatten()(L.MaxPooling2D()(hidden))))
    lower, upper = keras.Model(inputs, x), keras.Model(hidden, scores)
    model = keras.Sequential([lower, upper, L.Activation("softmax")])
    classes = np.array([2, 0, 1, 2, 0])
    maps = lower(images.astype(np.float32)).detach().requires_grad_()
    upper(maps)[torch.arange(5), torch.from_numpy(classes)].sum().backward()
    heat = F.relu((maps.grad.mean(dim=(1, 2), keepdim=True) * maps).sum(dim=3)).detach()[:, None]
    heat = F.interpolate(heat, size=(16, 12), mode="bilinear")[:, 0].numpy()
    top = heat.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(grad_cam(model, images, classes), heat / top, atol=1e-5)


def test_grad_cam_is_the_same_for_frozen_and_channels_first_models(images):
    inner = backbone()
    model = pooled(inner)
    expected = grad_cam(model, images, np.zeros(5, int))
    inner.trainable = False
    np.testing.assert_array_equal(grad_cam(model, images, np.zeros(5, int)), expected)
    inputs = keras.Input((16, 12, 3))
    x = L.Conv2D(5, 3, data_format="channels_first")(L.Permute((3, 1, 2))(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D(data_format="channels_first")(x)))
    first = grad_cam(model, images, np.ones(5, int))
    inputs = keras.Input((16, 12, 3))
    twin = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(5, 3)(inputs))))
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(first, grad_cam(twin, images, np.ones(5, int)), atol=1e-5)


def test_grad_cam_highlights_the_object(rng):
    """A model that counts bright pixels, on images with one bright square."""
    inputs = keras.Input((16, 16, 1))
    conv = L.Conv2D(1, 3, padding="same", activation="relu")
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(conv(inputs))))
    model.set_weights([np.full((3, 3, 1, 1), 1 / 9), np.array([-100.0]), np.array([[-1.0, 1.0]]), np.zeros(2)])
    image = rng.integers(0, 50, (1, 16, 16, 1), dtype=np.uint8)
    image[0, 2:7, 9:14] = 255
    heat = grad_cam(model, image, np.array([1]))[0]
    assert heat[2:7, 9:14].min() > 0
    assert heat[10:, :].max() == 0
    assert grad_cam(model, image, np.array([0])).max() == 0  # nothing speaks for the dark class


def test_grad_cam_ignores_convolutions_on_one_pixel(images):
    inputs = keras.Input((16, 12, 3))
    maps = L.Conv2D(4, 3, padding="same")(inputs)
    gate = L.Conv2D(4, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(maps))
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Multiply()([maps, gate]))))
    assert grad_cam(model, images, np.zeros(5, int)).shape == (5, 16, 12)


def test_a_model_without_convolution_is_refused_in_one_line(images):
    model = keras.Sequential([keras.Input((16, 12, 3)), L.Flatten(), L.Dense(2)], name="flat")
    with pytest.raises(UsageError, match=r"the model 'flat' has no convolution") as caught:
        grad_cam(model, images, np.zeros(5, int))
    assert "\n" not in str(caught.value)
    assert grad_cam(model, images[:0], np.zeros(0, int)).shape == (0, 16, 12)
    guess = Guess(0, 1, 0, 0.9)
    assert explain(model, images[:1], [guess], np.array([1]))[0].heats == ()


def test_a_guess_is_explained_by_the_maps_of_both_classes(images):
    model = pooled(backbone())
    guesses = [Guess(7, 1, 0, 0.9), Guess(9, None, 2, 0.8)]
    one, two = explain(model, images[:2], guesses, np.array([1, 3]))
    assert (one.guess, two.guess) == tuple(guesses)
    assert [label for label, _ in one.heats + two.heats] == [0, 1, 2, 3]
    np.testing.assert_array_equal(two.heats[1][1], grad_cam(model, images[:2], np.array([3, 3]))[1])
    np.testing.assert_array_equal(two.image, images[1])


def test_maps_of_several_classes_come_from_one_pass(images, monkeypatch):
    model, classes = pooled(backbone()), [np.array([0, 1, 2, 3, 0]), np.array([3, 2, 1, 0, 1])]
    expected = [grad_cam(model, images, of, batch_size=2) for of in classes]
    passes = []
    monkeypatch.setattr(model, "call", lambda *given, call=model.call, **more: passes.append(1) or call(*given, **more))
    found = grad_cam_of(model, images, classes, batch_size=2)
    assert len(passes) == 1 + 3  # one finds the layer
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_features_are_the_input_of_the_last_dense_layer(images):
    inner = backbone()
    model = pooled(inner)
    expected = inner(images.astype(np.float32)).detach().numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features(model, images, batch_size=2), expected, rtol=1e-5)
    fully = keras.Sequential([keras.Input((16, 12, 3)), L.Conv2D(2, (16, 12)), L.Flatten(), L.Softmax()])
    np.testing.assert_array_equal(features(fully, images), images.reshape(5, -1).astype(np.float32))
    with pytest.raises(UsageError, match=r"no layer of the model .* has weights"):
        features(keras.Sequential([keras.Input((16, 12, 3)), L.Flatten()]), images)


def test_neighbours_are_those_of_scikit_learn(images, rng):
    model = pooled(backbone())
    others = rng.integers(0, 256, (50, 16, 12, 3), dtype=np.uint8)
    others[33] = images[2]
    labels = rng.integers(0, 4, 50)
    done = []
    found = nearest(model, images, others, labels, 4, batch_size=16, progress=done.append)
    reference = NearestNeighbors(n_neighbors=4, metric="cosine", algorithm="brute").fit(features(model, others))
    distances, indices = reference.kneighbors(features(model, images))
    assert [[n.index for n in row] for row in found] == indices.tolist()
    np.testing.assert_allclose([[1 - n.similarity for n in row] for row in found], distances, atol=1e-5)
    assert found[2][0].index == 33
    assert all(n.label == labels[n.index] for row in found for n in row)
    assert done == [16, 32, 48, 50]
    assert [len(row) for row in nearest(model, images, others[:2], labels, 4)] == [2] * 5
    assert nearest(model, images[:0], others, labels, 4) == []


@pytest.mark.real
def test_a_pretrained_backbone_from_a_file_is_explained(real_data, rng):
    path = real_data / "squeezenet-imagenet.keras"
    if not path.is_file():
        pytest.skip("TENFOLD_DATA has no squeezenet-imagenet.keras")
    inner = keras.saving.load_model(path, compile=False)
    inner.trainable = False
    inputs = keras.Input((32, 32, 3))
    x = L.Resizing(96, 96)(inputs)
    model = keras.Model(inputs, L.Dense(10, activation="softmax")(inner(x)))
    images = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    heat = grad_cam(model, images, np.array([1, 2, 3]))
    assert heat.shape == (3, 32, 32)
    assert features(model, images).shape == (3, 512)
    maps = keras.Model(inner.inputs, inner.get_layer("fire9_concat").output)
    resized = keras.ops.convert_to_numpy(L.Resizing(96, 96)(images.astype(np.float32)))
    outer = keras.Sequential([keras.Input((96, 96, 3)), maps, L.GlobalAveragePooling2D(), model.layers[-1]])
    expected = class_activation_maps(outer, maps, resized, np.array([1, 2, 3]))
    assert np.corrcoef(heat[1].ravel(), F.interpolate(torch.from_numpy(expected[1:2, None]), size=32,
                                                      mode="area").ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "EfficientNetB0"])
def test_grad_cam_works_on_pretrained_backbones(name):
    section = Recipe.from_dict({"model": {"name": "pretrained", "backbone": name, "weights": "none"}}).model
    model = build(section, (64, 64, 3), 4)
    images = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    classes = np.array([2, 0, 1])
    pooling = [layer for layer in model.layers if isinstance(layer, L.GlobalAveragePooling2D)][-1]
    before = keras.Model(model.input, pooling.input)
    heat = grad_cam(model, images, classes)
    np.testing.assert_allclose(heat, class_activation_maps(model, before, images, classes), atol=1e-4)
    assert heat.max() == 1
