"""Backbones in Tenfold's two kinds of layers: against plain Keras, with weights from files of each layout."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.errors import FetchError, ModelFileError, UnknownNameError, UsageError
from tenfold.foreign.load import load_model
from tenfold.models import backbone, build, check_build, twin, twins, weights
from tenfold.models.layers import finalise, put
from tenfold.recipe import ModelSection, Recipe


def section(name: str, **options: object) -> ModelSection:
    return Recipe.from_dict({"model": {"name": "pretrained", "backbone": name, **options}}).model


def lively(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights under which every layer has something to say."""
    rng = np.random.default_rng(seed)
    model.set_weights([abs(1 + 0.1 * rng.normal(size=w.shape)) if w.ndim == 1 else rng.normal(
        0, np.sqrt(2 / max(1, np.prod(w.shape[:-1]))), w.shape) for w in model.get_weights()])
    return model


def published_layout(model: keras.Model, path: Path) -> Path:
    """A weights file as Keras publishes them: the legacy layout, by layer names."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


@contextlib.contextmanager
def warnings_ignored() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def images(size: int, channels: int = 3, count: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, size, size, channels)).astype("float32"))


def as_keras_does(name: str, path: Path) -> keras.Model:
    """The application as Keras builds and loads it for ImageNet, of a file with random weights in place of its own."""
    builder, settings = getattr(keras.applications, name), {"include_top": False, "input_shape": (None, None, 3)}
    published_layout(lively(builder(weights=None, pooling="avg", **settings)), path)
    with pytest.MonkeyPatch.context() as patch, warnings_ignored():
        patch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: path)
        return builder(weights="imagenet", pooling="avg", **settings)


@pytest.mark.parametrize("name", [
    "ResNet50", "ResNet101", "MobileNetV2", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny"])
def test_a_backbone_is_the_application_with_its_own_preprocessing(name: str, tmp_path: Path) -> None:
    """Weights from a file in the published layout; the fast twin and the saved file say the same."""
    path = tmp_path / "published.h5"
    application = as_keras_does(name, path)
    model = section(name, weights=str(path))
    plain, fast = build(model, (64, 64, 3), 5), build(model, (64, 64, 3), 5, fast=True)
    weights.initialise(plain, model)
    fast.set_weights(plain.get_weights())
    x = images(64)
    module = __import__("sys").modules[getattr(keras.applications, name).__module__]
    with torch.no_grad():
        expected = application(module.preprocess_input(x.clone()), training=False)
        features = keras.Model(plain.input, plain.get_layer("logits").input)(x, training=False)
        scale = expected.abs().max()
        torch.testing.assert_close(features / scale, expected / scale, atol=2e-4, rtol=0)
        p = plain(x, training=False)
        again = twin(model, plain)(x.permute(0, 3, 1, 2), training=False)
        torch.testing.assert_close(F.softmax(again, 1), p, atol=1e-4, rtol=0)
        torch.testing.assert_close(F.softmax(fast(x.permute(0, 3, 1, 2), training=False), 1), p, atol=1e-3, rtol=0)
        plain.save(tmp_path / "saved.keras")
        torch.testing.assert_close(load_model(tmp_path / "saved.keras")(x, training=False), p, atol=0, rtol=0)


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
def test_the_first_convolution_gets_pixels_scaled_like_imagenet(fast: bool, tmp_path: Path) -> None:
    """EfficientNet's graph has a scaling of the channels for ImageNet's weights, and none without."""
    application = as_keras_does("EfficientNetB0", tmp_path / "published.h5")
    model = section("EfficientNetB0", weights=str(tmp_path / "published.h5"))
    network = build(model, (64, 64, 3), 5, fast=fast)
    weights.initialise(network, model)
    x = images(64)
    with torch.no_grad():
        said = keras.Model(network.input, network.get_layer("backbone_stem_conv_pad").output)(
            x.permute(0, 3, 1, 2) if fast else x)
        expected = keras.Model(application.input, application.get_layer("stem_conv_pad").output)(x)
    torch.testing.assert_close(said.permute(0, 2, 3, 1) if fast else said, expected, atol=1e-5, rtol=0)
    for name in ("EfficientNetB0", "EfficientNetB7"):
        assert len(backbone.sketch(name).layers) == 1 + len(backbone.sketch(name, "none").layers)


def spatial(*layers: Any) -> keras.Model:
    inputs = x = keras.Input((16, 16, 3))
    for layer in [keras.layers.Conv2D(4, 3, name="first"), *layers]:
        x = layer(x)
    return keras.Model(inputs, x)


def gated() -> keras.Model:
    """A merge of maps and of pooled features, which Keras broadcasts over the axes as they stand."""
    model = spatial()
    pooled = keras.layers.GlobalAveragePooling2D()(model.output)
    return keras.Model(model.input, keras.layers.Multiply()([model.output, pooled]))


FOREIGN: dict[str, Callable[[], keras.Model]] = {
    "softmax over channels": lambda: spatial(keras.layers.Activation("softmax")),
    "log-softmax of a convolution": lambda: spatial(keras.layers.Conv2D(4, 1, activation="log_softmax")),
    "gated linear units": lambda: spatial(keras.layers.Activation("glu")),
    "a layer as activation": lambda: spatial(keras.layers.Conv2D(4, 1, activation=keras.layers.Softmax())),
    "a merge of mixed ranks": gated,
    "a constant": lambda: (lambda model: keras.Model(model.input, 2.0 * model.output))(spatial()),
    "dropout of whole maps": lambda: spatial(keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 4))),
    "dropout of whole images": lambda: spatial(keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))),
    "scaled by channel": lambda: spatial(keras.layers.Rescaling([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.0])),
    "normalised by its statistics": lambda: lively(spatial(keras.layers.Normalization(name="norm"))),
    "a sequential": lambda: keras.Sequential([keras.Input((16, 16, 3)), *spatial().layers[1:], keras.layers.ReLU()]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_graph_computes_the_same_in_both_kinds_of_layers(name: str, tmp_path: Path) -> None:
    original = FOREIGN[name]()
    finalise(original.layers)
    original.save(tmp_path / "foreign.keras")
    model = section(f"file:{tmp_path / 'foreign.keras'}")
    plain, fast = (build(model, (16, 16, 3), 2, fast=fast) for fast in (False, True))
    x = images(16)
    with torch.no_grad():
        expected = original(x, training=False)
        expected = expected.mean(dim=(1, 2)) if expected.ndim == 4 else expected
        for network, pixels in ((plain, x), (fast, x.permute(0, 3, 1, 2))):
            weights.initialise(network, model)
            said = keras.Model(network.input, network.get_layer("logits").input)(pixels, training=False)
            torch.testing.assert_close(said, expected, atol=1e-3, rtol=1e-4)


def test_only_layers_without_a_channels_first_form_stay_channels_last() -> None:
    kept = {name for name, make in FOREIGN.items() if not twins._has_channels_first_form(make())}
    assert kept == set(FOREIGN) - {"a constant", "dropout of whole images", "scaled by channel",
                                   "normalised by its statistics", "a sequential"}


def test_normalisation_statistics_are_loaded_in_lower_precision() -> None:
    """There Keras computes with a copy of them."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Normalization(dtype="mixed_bfloat16")(inputs))
    put(model, [np.full(4, 2.0), np.full(4, 4.0), np.array(1)])
    assert model(np.full((1, 4), 6.0)).tolist() == [[2.0] * 4]


def test_trainable_flags_in_a_file_are_ignored(tmp_path: Path) -> None:
    frozen = spatial(keras.layers.ReLU())
    frozen.trainable = False
    frozen.save(tmp_path / "frozen.keras")
    assert trained(f"file:{tmp_path / 'frozen.keras'}") == {"backbone_first", "logits"}
    plain = build(section(f"file:{tmp_path / 'frozen.keras'}"), (16, 16, 3), 2)
    assert plain.get_layer("backbone_first").trainable


def test_a_backbone_may_take_images_that_are_not_square(tmp_path: Path) -> None:
    inputs = keras.Input((16, 48, 3))
    keras.Model(inputs, keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(inputs))).save(tmp_path / "wide.keras")
    model = build(section(f"file:{tmp_path / 'wide.keras'}"), (32, 32, 3), 3, fast=True)
    assert model.get_layer("logits").input.shape == (None, 14 * 46 * 2)
    assert set(backbone.stages(backbone.sketch(f"file:{tmp_path / 'wide.keras'}")).values()) == {0}


def test_every_applications_preprocessing_is_affine_by_channel() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3)).astype("float32")
    for name in (name for name in backbone.names() if hasattr(keras.applications, name)):
        module = __import__("sys").modules[getattr(keras.applications, name).__module__]
        mean, deviation, reverse = backbone.preprocessing(name)
        ours = (colours - mean) / deviation
        theirs = module.preprocess_input(colours.copy())
        np.testing.assert_allclose(ours[..., ::-1] if reverse else ours, theirs, atol=1e-4)


def test_name_url_and_hash_of_published_weights_are_known_offline() -> None:
    found = weights.published("ResNet50")
    assert found.file == "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert found.url.startswith("https://storage.googleapis.com/")
    assert found.digest == "4d473c1dd8becc155b73f8504c6f6626"


def test_missing_weights_without_network_give_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    model = section("ResNet50")
    with pytest.raises(FetchError, match=r"^https://[^\n]*resnet50[^\n]*MD5 4d473c1d[^\n]*put it at [^\n]*models"):
        weights.initialise(build(model, (32, 32, 3), 3), model)


def test_a_cached_file_with_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    weights.published("ResNet50").path.write_bytes(b"something else")
    model = section("ResNet50")
    with pytest.raises(FetchError, match="has MD5"):
        weights.initialise(build(model, (32, 32, 3), 3), model)


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_a_file_without_published_hash_is_identified_by_its_own_hash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(FetchError, match="Keras publishes no hash to verify a download"):
        weights.obtain(section(name))
    assert "weights_sha256" not in weights.origin(section(name))
    path = weights.published(name).path
    path.parent.mkdir()
    path.write_bytes(b"some weights")
    assert weights.origin(section(name))["weights_sha256"] == hashlib.sha256(b"some weights").hexdigest()


def test_small_grey_images_are_resized_and_coloured_for_the_backbone() -> None:
    model = build(section("MobileNetV2", weights="none"), (8, 8, 1), 3)
    with torch.no_grad():
        assert model(images(8, 1), training=False).shape == (2, 3)


def test_stages_are_numbered_by_resolution() -> None:
    found = backbone.stages(backbone.sketch("ResNet50"))
    assert found["conv1_conv"] < found["conv2_block1_1_conv"] < found["conv3_block1_1_conv"]
    assert found["conv4_block6_3_conv"] + 1 == found["conv5_block1_1_conv"] == found["conv5_block3_out"]
    squeezed = backbone.stages(backbone.sketch("EfficientNetB0"))
    assert squeezed["block2a_se_squeeze"] == squeezed["block2a_se_expand"] == squeezed["block2a_bn"]


def trained(name: str = "ResNet50", **options: object) -> set[str]:
    model = build(section(name, **options), (32, 32, 3), 3, fast=True)
    return {layer.name for layer in model.layers if layer.trainable_variables}


def test_the_trainable_setting_selects_the_trained_layers() -> None:
    assert trained(trainable="none") == {"logits"}
    last = trained(trainable=1)
    assert {name.split("_")[1] for name in last - {"logits"}} == {"conv5"}
    assert not [name for name in last if name.endswith("_bn")]
    assert [name for name in trained(batch_norm="trained") if name.endswith("_bn")]


@pytest.mark.parametrize(("name", "error", "said"), [
    ("ResNet5", UnknownNameError, "did you mean 'ResNet50"), ("run:nowhere", ModelFileError, "can't be read"),
    ("url:x", UsageError, "expected EfficientNetLite0, a name in keras"),
    ("file:x.pkl", ModelFileError, "can't be read"),
])
def test_an_invalid_backbone_is_refused_in_one_line(name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=rf"^[^\n]*{said}[^\n]*$"):
        check_build(section(name), (32, 32, 3), 3)


def test_missing_weights_are_refused_before_anything_is_built() -> None:
    with pytest.raises(UsageError, match="no such file"):
        check_build(section("ResNet50", weights="nowhere.h5"), (32, 32, 3), 3)
