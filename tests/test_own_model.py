"""Keras models given in Python: they train through the same engine and leave the same run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from typer.testing import CliRunner
from watchers import After, Listen, at_once

import tenfold
from tenfold.backend import keras
from tenfold.cli import app
from tenfold.errors import ModelFileError, TenfoldError, UsageError
from tenfold.models import build, classifier
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.runtimes import open_predictor

L = keras.layers
EPOCHS = {"train.epochs": 2, "train.batch_size": 50, "train.precision": "float32"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return load_digits().images[:300] / 16, load_digits().target[:300]


def sequential(last: str | None = "softmax", *more: Any, units: int = 10) -> Any:
    """The network of a first course: convolution, pooling, flattening, dropout."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((8, 8, 1)), L.Conv2D(8, 3, activation="relu", padding="same"), L.MaxPooling2D(), L.Flatten(),
        L.Dropout(0.2), L.Dense(32, activation="relu"), L.Dense(units, activation=last), *more], name="first course")


def functional() -> Any:
    """A residual network that scales its pixels itself, with random layers of Keras and a frozen one."""
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input((8, 8, 1))
    x = y = L.Conv2D(8, 3, padding="same", use_bias=False, trainable=False)(L.Rescaling(1 / 255)(x))
    x = L.Activation("relu")(L.BatchNormalization()(x))
    x = L.Add()([x, L.SpatialDropout2D(0.1)(y)])
    x = L.GaussianNoise(0.1)(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Softmax()(L.Dense(10, use_bias=False)(x)), name="residual")


def channels_last() -> Any:
    """A network that has no channels-first form."""
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((8, 8, 1)), L.Reshape((64,)), L.Dropout(0.1), L.Dense(10)], name="flat")


MODELS: dict[str, Callable[[], Any]] = {
    "softmax": sequential, "logits": lambda: sequential(None), "softmax apart": lambda: sequential(None, L.Softmax()),
    "activation apart": lambda: sequential(None, L.Activation("softmax")), "functional": functional,
    "channels last only": channels_last,
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_network_computes_what_the_given_model_does(name: str, fast: bool) -> None:
    model = MODELS[name]()
    section = Recipe.from_dict({}, overrides=classifier.settings(model, classifier.store(model))[0]).model
    network = build(section, (8, 8, 1), 10, fast=fast)
    classifier.initialise(network, section)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.float32)
    expected = model.predict(images if name == "functional" else images / 255, verbose=0)
    given = torch.from_numpy(images.transpose(0, 3, 1, 2) if fast else images)
    with torch.no_grad():
        found = network(given, training=False)
    if name in ("logits", "channels last only"):
        expected = torch.softmax(torch.from_numpy(expected), dim=1).numpy()
    np.testing.assert_allclose(torch.softmax(found, 1) if fast else found, expected, atol=1e-5)


def test_known_layers_are_fast() -> None:
    model = sequential()
    section = Recipe.from_dict({}, overrides=classifier.settings(model, classifier.store(model))[0]).model
    kinds = {type(layer).__module__ for layer in build(section, (8, 8, 1), 10, fast=True).layers
             if type(layer).__name__ not in ("InputLayer", "Rescaling")}
    assert kinds == {"tenfold.models.layers"}


@pytest.fixture(scope="module")
def run(data: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = sequential()
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        return tenfold.train(model, data, overrides={**EPOCHS, "train.epochs": 6},
                             runs=tmp_path_factory.mktemp("runs"))


def test_it_leaves_an_ordinary_run(run: Run, data: tuple[np.ndarray, np.ndarray]) -> None:
    assert run.name == "first-course-arrays-1"
    assert run.recipe().train.optimizer.name == "rmsprop"
    assert run.metrics()["test"]["accuracy"]["value"] > 0.3
    assert run.environment()["keras"]["sha256"]
    first, = tenfold.predict(run, data[0][0])
    assert set(first.probabilities) == set("0123456789")
    assert [layer.name for layer in run.model().layers][-3:-1] == [run.model().layers[-3].name, "logits"]


def test_it_is_used_without_its_file(run: Run, tmp_path: Path) -> None:
    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    Path(copy.recipe().model.options["file"]).unlink(missing_ok=True)
    assert tenfold.evaluate(copy)["test"]["accuracy"] == run.metrics()["test"]["accuracy"]
    assert tenfold.explain(copy, most=1).entries
    predicted = open_predictor(copy, "fast").predict(np.zeros((1, 8, 8, 1), np.uint8))
    np.testing.assert_allclose(predicted, open_predictor(copy, "keras").predict(np.zeros((1, 8, 8, 1), np.uint8)),
                               atol=1e-5)
    assert len(tenfold.resume(copy, epochs=7).history()) == 7


@pytest.mark.parametrize("make", [functional, channels_last])
def test_a_stopped_run_resumes_to_the_same_weights(
    make: Callable[[], Any], data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    whole = tenfold.train(make(), data, overrides=EPOCHS, runs=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(make(), data, overrides=EPOCHS, runs=tmp_path, watcher=After(2, 2, at_once))
    path = whole.path.with_name(whole.name[:-1] + "2")
    shutil.rmtree(tmp_path / "cache")
    assert CliRunner().invoke(app, ["resume", str(path)]).exit_code == 0
    pairs = zip(whole.model().get_weights(), Run.open(path).model().get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_what_of_the_model_is_not_used_is_said(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    model = sequential()
    model.layers[0].kernel_regularizer = keras.regularizers.L2(1e-3)
    model.compile(keras.optimizers.Lion(keras.optimizers.schedules.CosineDecay(1e-3, 10)), "mse")
    notes = classifier.settings(model, classifier.store(model))[1]
    for word in ("no Rescaling layer", "regularizers", "not Lion", "cross-entropy, not mse"):
        assert any(word in note for note in notes), word
    model.compile(keras.optimizers.SGD(0.5, momentum=0.25), "categorical_crossentropy")
    values, notes = classifier.settings(model, Path("x.keras"))
    assert (values["train.learning_rate"], values["train.optimizer.momentum"]) == (0.5, 0.25)
    assert not any("cross-entropy" in note for note in notes)


def subclassed() -> Any:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    return Own()


UNSUITABLE: dict[str, tuple[Callable[[], Any], type[TenfoldError], str]] = {
    "no input": (lambda: keras.Sequential([L.Dense(10)]), UsageError, r"no input shape; expected .*keras\.Input"),
    "a class of its own": (subclassed, UsageError, "is a Own, a class of its own"),
    "another activation": (lambda: sequential("sigmoid"), ModelFileError, "ends with Dense with sigmoid; expected"),
    "no classes": (lambda: keras.Sequential([keras.Input((8, 8, 1)), L.Flatten()]), ModelFileError,
                   "ends with Flatten"),
    "other classes": (lambda: sequential(units=7), UsageError, "has 7 outputs; expected 10"),
    "an unknown layer": (lambda: keras.Sequential([keras.Input((8, 8, 1)), L.Lambda(lambda x: x), L.Flatten(),
                                                   L.Dense(10)]), ModelFileError, "refused"),
    "another number of channels": (lambda: keras.Sequential([keras.Input((8, 8, 4)), L.Flatten(), L.Dense(10)]),
                                   UsageError, "received images of 1 channels; expected 4"),
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_an_unsuitable_model_is_one_line_and_leaves_nothing(
    name: str, data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    make, kind, words = UNSUITABLE[name]
    with pytest.raises(kind, match=words) as caught:
        tenfold.train(make(), data, runs=tmp_path / "runs", watcher=Listen())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_the_file_of_a_model_trains_from_the_command(tmp_path: Path) -> None:
    sequential().save(tmp_path / "mine.keras")
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'model = {{name = "keras", file = "{tmp_path}/mine.keras", pixels = "0-1"}}\n'
                      "train = {epochs = 1}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["train", str(recipe), "--data", "digits", "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    assert "model.file: received no path" in CliRunner().invoke(
        app, ["train", "mlp", "--set", "model.name=keras", "--data", "digits"]).output
