"""Backbones in Tenfold's two kinds of layers: against plain Keras, with weights from files of each layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.errors import FetchError, ModelFileError, UnknownNameError, UsageError
from tenfold.foreign.load import load_model
from tenfold.models import backbone, build, check_build, twin, weights
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


def images(size: int, channels: int = 3, count: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, size, size, channels)).astype("float32"))


@pytest.mark.parametrize("name", [
    "ResNet50", "ResNet101", "MobileNetV2", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny"])
def test_a_backbone_is_the_application_with_its_own_preprocessing(name: str, tmp_path: Path) -> None:
    """Weights from a file in the published layout; the fast twin and the saved file say the same."""
    application = lively(getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg"))
    path = published_layout(application, tmp_path / "published.h5")
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


def test_every_applications_preprocessing_is_affine_by_channel() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3)).astype("float32")
    for name in backbone.names():
        module = __import__("sys").modules[getattr(keras.applications, name).__module__]
        mean, deviation, reverse = backbone.preprocessing(name)
        ours = (colours - mean) / deviation
        theirs = module.preprocess_input(colours.copy())
        np.testing.assert_allclose(ours[..., ::-1] if reverse else ours, theirs, atol=1e-4)


def test_the_published_files_are_found_without_a_download() -> None:
    found = weights.published("ResNet50")
    assert found.file == "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert found.url.startswith("https://storage.googleapis.com/")
    assert found.digest == "4d473c1dd8becc155b73f8504c6f6626"


def test_without_network_and_cache_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_small_grey_images_are_brought_to_what_the_backbone_takes() -> None:
    model = build(section("MobileNetV2", weights="none"), (8, 8, 1), 3)
    with torch.no_grad():
        assert model(images(8, 1), training=False).shape == (2, 3)


def test_stages_follow_the_resolution() -> None:
    found = backbone.stages(backbone.sketch("ResNet50"))
    assert found["conv1_conv"] < found["conv2_block1_1_conv"] < found["conv3_block1_1_conv"]
    assert found["conv4_block6_3_conv"] + 1 == found["conv5_block1_1_conv"] == found["conv5_block3_out"]
    squeezed = backbone.stages(backbone.sketch("EfficientNetB0"))
    assert squeezed["block2a_se_squeeze"] == squeezed["block2a_se_expand"] == squeezed["block2a_bn"]


def trained(name: str = "ResNet50", **options: object) -> set[str]:
    model = build(section(name, **options), (32, 32, 3), 3, fast=True)
    return {layer.name for layer in model.layers if layer.trainable_variables}


def test_what_is_trained_is_what_was_asked_for() -> None:
    assert trained(trainable="none") == {"logits"}
    last = trained(trainable=1)
    assert {name.split("_")[1] for name in last - {"logits"}} == {"conv5"}
    assert not [name for name in last if name.endswith("_bn")]
    assert [name for name in trained(batch_norm="trained") if name.endswith("_bn")]


@pytest.mark.parametrize(("name", "error", "said"), [
    ("ResNet5", UnknownNameError, "did you mean 'ResNet50"), ("run:nowhere", ModelFileError, "can't be read"),
    ("url:x", UsageError, "expected a name in keras.applications"), ("file:x.pkl", ModelFileError, "can't be read"),
])
def test_a_backbone_that_is_none_is_refused_in_one_line(name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=rf"^[^\n]*{said}[^\n]*$"):
        check_build(section(name), (32, 32, 3), 3)


def test_missing_weights_are_refused_before_anything_is_built() -> None:
    with pytest.raises(UsageError, match="no such file"):
        check_build(section("ResNet50", weights="nowhere.h5"), (32, 32, 3), 3)
