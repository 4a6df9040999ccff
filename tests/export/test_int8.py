"""int8 exports: smaller, about as accurate, and refused otherwise."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

import tenfold
from tenfold import jobs
from tenfold.backend import keras
from tenfold.decisions.rules import Rules, guaranteed
from tenfold.errors import ExportError, MissingExtraError, UsageError
from tenfold.evaluation.statistics import accuracy_change
from tenfold.export.int8 import REASON, Judges, judge, narrowed
from tenfold.export.parity import Agreement
from tenfold.export.source import Source
from tenfold.run import Run
from tenfold.runtimes import open_export, open_predictor
from tenfold.storage.files import TEMPORARY


@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("family", ["cnn", "mlp"])
def test_an_int8_model_is_close_to_its_source(
    format: str, family: str, runs: dict[str, Run], tmp_path: Path, rng: np.random.Generator,
) -> None:
    made = jobs.export(runs[family], format, tmp_path, int8=True, lose=100)
    assert made.path.name == f"model.int8.{format}"
    predictor = open_export(made.path)
    assert predictor.facts["precision"] == "int8"
    assert predictor.facts["agreement"] == made.agreement.to_dict()
    assert predictor.facts["decisions"]["fitted"]["reason"].endswith(REASON)
    images = rng.integers(0, 256, (20, 32, 32, 3), np.uint8)
    exact, given = open_predictor(runs[family], "keras").predict(images), predictor.predict(images)
    assert 1e-7 < np.abs(given - exact).max() < 0.2
    whole = jobs.export(runs[family], format, tmp_path)
    if family == "mlp":  # the graph itself outweighs the weights of the small CNN
        assert made.size < 0.5 * whole.size


def test_a_network_that_enlarges_its_images_can_be_int8(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = keras.layers
    network = keras.Sequential([
        keras.Input((32, 32, 3)), layers.Resizing(48, 48), layers.Conv2D(8, 3, activation="relu"),
        layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")])
    run = tenfold.train(network, "shapes:train=120,test=20", runs=tmp_path, overrides={"train.epochs": 1})
    made = jobs.export(run, "onnx", int8=True, lose=100)
    images = rng.integers(0, 256, (8, 32, 32, 3), np.uint8)
    assert np.abs(open_export(made.path).predict(images) - open_predictor(run).predict(images)).max() < 0.2


def test_formats_without_int8_are_refused_before_the_data_are_read(runs: dict[str, Run], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="int8: received the format torch; expected one of html, onnx, openvino"):
        jobs.export(runs["cnn"], "torch", tmp_path, int8=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("format", "module"), [("openvino", "nncf"), ("openvino", "openvino"), ("onnx", "onnx")])
def test_a_missing_extra_is_named_before_the_data_are_read(
    format: str, module: str, runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("tenfold.jobs.exporting.own_data", lambda *_: pytest.fail("the data were read"))
    with pytest.raises(MissingExtraError, match=f"the package {module} is not installed; install it with"):
        jobs.export(runs["cnn"], format, tmp_path, int8=True)


def test_what_a_killed_export_leaves_is_swept_later(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[str] = []

    def killed(*_: object, **__: object) -> None:
        left.extend(path.name for path in tmp_path.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", killed)
    with pytest.raises(KeyboardInterrupt):
        jobs.export(runs["cnn"], "onnx", tmp_path, int8=True)
    assert left
    assert all(map(TEMPORARY.match, left))


def test_the_rules_of_an_int8_model_guarantee_nothing(runs: dict[str, Run]) -> None:
    exact = Source.of(runs["cnn"])
    rules = {**exact.facts["decisions"], "fitted": {"split": "calibration", "images": 300, "reason": ""}}
    exact = dataclasses.replace(exact, facts={**exact.facts, "decisions": rules})
    narrow = narrowed(exact, Agreement(200, 0.01, 0.99, -0.25, -0.5, 0.0))
    found = [Rules.read(source.facts) for source in (exact, narrow)]
    assert [guaranteed(each.fitted) for each in found] == [True, False]
    assert found[1].cautions()[0] == f"the decision rules guarantee nothing: {REASON}"


@pytest.fixture
def judges(rng: np.random.Generator) -> Judges:
    """A perfect float32 model on 200 images of two classes."""
    labels = np.arange(200) % 2
    images = np.broadcast_to(labels[:, None, None, None], (200, 8, 8, 1)).astype(np.uint8)
    return Judges(images[:10], images, labels, np.eye(2, dtype=np.float32)[labels])


def answering(wrong: int, value: float | None = None):  # type: ignore[no-untyped-def]
    """A model that is wrong about so many images of every hundred, or always gives one value."""
    seen = [0]

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        number = np.arange(seen[0], seen[0] + len(images)) % 100
        seen[0] += len(images)
        label = np.where(number < wrong, 1 - images[:, 0, 0, 0], images[:, 0, 0, 0])
        p = np.eye(2, dtype=np.float32)[label]
        return {"probabilities": p if value is None else np.full_like(p, value)}

    return answer


def test_a_loss_of_accuracy_beyond_the_limit_is_refused(judges: Judges) -> None:
    found = judge(answering(2), dataclasses.replace(judges, lose=2.5))
    assert found.accuracy == pytest.approx(-2)
    assert found.low is not None
    assert found.low < -2 < found.high <= 0
    with pytest.raises(ExportError, match=r"changes the accuracy by -2\.00 points \[-\d.*at most 0\.5.*--lose"):
        judge(answering(2), judges)


def test_constant_and_undefined_outputs_are_refused(judges: Judges) -> None:
    lenient = dataclasses.replace(judges, lose=100)
    with pytest.raises(ExportError, match="the same probabilities for every image"):
        judge(answering(0, 0.5), lenient)
    with pytest.raises(ExportError, match="not finite"):
        judge(answering(0, float("nan")), lenient)


def test_the_change_of_accuracy_is_paired() -> None:
    labels = np.arange(100) % 2
    perfect = np.eye(2)[labels]
    change, (low, high) = accuracy_change(labels, perfect, perfect)
    assert change == 0
    assert high == -low == pytest.approx(100 * 1.96**2 / (100 + 1.96**2), abs=0.01)  # Tango (1998)
    other = perfect.copy()
    other[:10] = other[:10, ::-1]
    change, interval = accuracy_change(labels, perfect, other)
    assert change == pytest.approx(-10)
    assert -17 < interval[0] < -10 < interval[1] < -4
