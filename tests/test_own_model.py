"""Keras models given in Python: they train through the same engine and leave the same run."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
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
from tenfold.jobs.training import fit_only
from tenfold.models import build, classifier, given
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


def several_results() -> Any:
    """A network with a layer that gives more than one tensor."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 1))
    x, _, state = L.LSTM(6, return_state=True)(L.Reshape((8, 8))(inputs))
    return keras.Model(inputs, L.Dense(10, "softmax")(L.Concatenate()([x, state])), name="states")


MODELS: dict[str, Callable[[], Any]] = {
    "softmax": sequential, "logits": lambda: sequential(None), "softmax apart": lambda: sequential(None, L.Softmax()),
    "activation apart": lambda: sequential(None, L.Activation("softmax")), "functional": functional,
    "channels last only": channels_last, "several results": several_results,
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_network_computes_what_the_given_model_does(name: str, fast: bool) -> None:
    model = MODELS[name]()
    section = Recipe.from_dict({}, overrides=given.settings(model)[0]).model
    network = build(section, (8, 8, 1), 10, fast=fast)
    classifier.initialise(network, section)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.float32)
    expected = model.predict(images if name == "functional" else images / 255, verbose=0)
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2) if fast else images)
    with torch.no_grad():
        found = network(pixels, training=False)
    if name in ("logits", "channels last only"):
        expected = torch.softmax(torch.from_numpy(expected), dim=1).numpy()
    np.testing.assert_allclose(torch.softmax(found, 1) if fast else found, expected, atol=1e-5)


def test_known_layers_are_fast() -> None:
    model = sequential()
    section = Recipe.from_dict({}, overrides=given.settings(model)[0]).model
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


def test_what_of_the_model_is_not_used_is_said() -> None:
    model = sequential()
    model.compile(keras.optimizers.Lion(keras.optimizers.schedules.CosineDecay(1e-3, 10)))
    notes = given.settings(model)[1]
    for word in ("no Rescaling layer", "not Lion"):
        assert any(word in note for note in notes), word
    model.compile(keras.optimizers.SGD(0.5, momentum=0.25, clipnorm=1.0),
                  keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    values, notes = given.settings(model)
    assert (values["train.learning_rate"], values["train.optimizer.momentum"]) == (0.5, 0.25)
    assert values["train.label_smoothing"] == 0.1
    assert any("clipnorm is not used" in note for note in notes)


class Block(L.Layer):
    """A residual block: layers of Keras in a layer of one's own."""

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(**options)
        self.first = L.Conv2D(filters, 3, padding="same", activation="relu", name="conv")
        self.drop = L.Dropout(0.1)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return keras.ops.concatenate([x, self.drop(self.first(x), training=training)], axis=-1)


class Small(keras.Model):
    """A subclassed model that is not built."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = [Block(3), Block(3)]
        self.last = L.Dense(10)

    def call(self, x: Any, training: bool = False) -> Any:
        for block in self.blocks:
            x = block(x * 2.0, training=training)
        return keras.ops.softmax(self.last(keras.ops.mean(x, axis=(1, 2))))


@keras.saving.register_keras_serializable("tests")
class Scaled(L.Layer):
    """A layer with a weight, a loss and random numbers of its own."""

    def __init__(self, rate: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate

    def build(self, shape: Any) -> None:
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any, training: bool | None = None) -> Any:
        self.add_loss(self.rate * keras.ops.sum(self.factor**2))
        return x * self.factor + (float(np.random.random()) if training else 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("tests")
class Opaque(keras.Model):
    """A subclassed model that calls PyTorch and returns probabilities."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hidden, self.last = L.Dense(8), L.Dense(10)

    def call(self, x: Any) -> Any:
        return torch.softmax(self.last(self.hidden(torch.flatten(x, 1))), 1)


def written_down() -> Any:
    return Small(name="small")


def with_own_layer() -> Any:
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3), Scaled(0.05), L.Flatten(), L.Dense(10)])


def augmented() -> Any:
    keras.utils.set_random_seed(4)
    return keras.Sequential([
        keras.Input((8, 8, 1)), L.RandomFlip(seed=1), L.RandomTranslation(0.1, 0.1, seed=2), L.Conv2D(4, 3),
        L.BatchNormalization(), L.Lambda(lambda x: keras.ops.relu(x) / 2), L.Flatten(),
        L.Dense(10, "softmax", kernel_regularizer="l2")])


def all_convolutions() -> Any:
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(10, 3), L.GlobalAveragePooling2D(), L.Softmax()])


def rows() -> Any:
    """A recurrent network over the rows of an image."""
    return keras.Sequential([keras.Input((8, 8, 1)), L.Reshape((8, 8)), L.Bidirectional(L.LSTM(4)), L.Dense(10)])


OWN: dict[str, Callable[[], Any]] = {
    "written down": written_down, "own layer": with_own_layer, "augmented": augmented, "opaque": Opaque,
    "all convolutions": all_convolutions, "rows": rows,
}
OPEN = {"own layer": {"Scaled"}, "opaque": {"Opaque"}}  # what stays as it is


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", OWN)
def test_layers_of_ones_own_compute_the_same(name: str, fast: bool) -> None:
    model = OWN[name]()
    section = Recipe.from_dict({}, overrides=given.settings(model, (8, 8, 1))[0]).model
    network = build(section, (8, 8, 1), 10, fast=fast)
    classifier.initialise(network, section)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.float32)
    expected = torch.from_numpy(model.predict(images / 255, verbose=0))
    with torch.no_grad():
        found = network(torch.from_numpy(images.transpose(0, 3, 1, 2) if fast else images), training=False)
    expected = torch.softmax(expected, 1) if name in ("own layer", "rows") else expected
    np.testing.assert_allclose(torch.softmax(found, 1) if fast else found, expected, atol=1e-5)
    own = {type(layer).__name__ for layer in network.layers if not type(layer).__module__.startswith(
        ("keras", "tenfold"))}
    assert own == OPEN.get(name, set())


@pytest.mark.parametrize("make", [sequential, *OWN.values()])
def test_the_same_model_gives_the_same_recipe_and_stays_as_it_is(make: Callable[[], Any]) -> None:
    model = make()
    first = given.settings(model, (8, 8, 1))[0]
    config, weights = str(model.get_config()), model.get_weights()
    assert given.settings(model, (8, 8, 1))[0] == first
    assert str(model.get_config()) == config
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


@pytest.mark.parametrize("make", [functional, written_down, with_own_layer, augmented])
def test_a_stopped_run_resumes_to_the_same_weights(
    make: Callable[[], Any], data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(5)
    model = make()
    whole = fit_only(model, data, overrides=EPOCHS, runs=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(model, data, overrides=EPOCHS, runs=tmp_path, watcher=After(2, 2, at_once))
    path = tmp_path / f"{whole.recipe().name}-arrays-1"
    shutil.rmtree(tmp_path / "cache")
    assert CliRunner().invoke(app, ["resume", str(path)]).exit_code == 0
    pairs = zip(whole.model().get_weights(), Run.open(path).model().get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def compiled_with(loss: str) -> Any:
    model = sequential()
    model.compile("adam", loss)
    return model


class Stepping(Small):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Forgetful(L.Layer):
    """A layer with a weight that does not tell the argument of its constructor."""

    def __init__(self, array: Any, **options: Any) -> None:
        super().__init__(**options)
        self.factor = self.add_weight(shape=array.shape)

    def call(self, x: Any) -> Any:
        return x * self.factor


def test_regularizers_and_losses_of_layers_count_in_training(
    data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    def norms(regularizer: Any) -> list[float]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(16, kernel_regularizer=regularizer),
                                  L.Dense(10, kernel_regularizer=regularizer, kernel_constraint="max_norm")])
        model.compile(keras.optimizers.SGD(0.1))
        trained = fit_only(model, data, overrides=EPOCHS, runs=tmp_path).model().get_weights()
        return [float(np.linalg.norm(trained[i])) for i in (0, 2)]

    free, held = norms(None), norms(keras.regularizers.L2(0.3))
    assert held[0] < 0.8 * free[0]
    assert held[1] < 0.8 * free[1]
    model = with_own_layer()
    run = fit_only(model, data, overrides=EPOCHS, runs=tmp_path)
    assert run.history()[0]["loss"] > 0.05 * 4 * 0.5 + 1


def test_one_sigmoid_unit_is_two_classes(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    expected = model.predict(data[0][:3, ..., None], verbose=0)
    section = Recipe.from_dict({}, overrides=given.settings(model)[0]).model
    network = build(section, (8, 8, 1), 2)
    classifier.initialise(network, section)
    with torch.no_grad():
        found = network(torch.from_numpy(255 * data[0][:3, ..., None].astype(np.float32)))
    np.testing.assert_allclose(found[:, 1:], expected, atol=1e-5)
    few = data[1] < 2
    run = fit_only(model, (data[0][few], ["odd" if label else "even" for label in data[1][few]]), overrides=EPOCHS,
                   runs=tmp_path)
    assert run.classes() == ("even", "odd")


def test_random_layers_rest_in_prediction(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    run = fit_only(augmented(), data, overrides=EPOCHS, runs=tmp_path)
    assert {"RandomFlip", "RandomTranslation"} <= {type(layer).__name__ for layer in run.model().layers}
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
    once, twice = (open_predictor(run, "fast").predict(images) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_allclose(open_predictor(run, "keras").predict(images), once, atol=1e-5)


PROCESS = """
import sys
import numpy as np
import tenfold
from tenfold.plugins import load_file
if len(sys.argv) > 2:
    load_file(sys.argv[2])
try:
    print(tenfold.predict(sys.argv[1], np.zeros((8, 8)))[0].label)
except tenfold.TenfoldError as error:
    sys.exit(str(error))
"""


def test_another_process_opens_it_with_a_file_that_registers_the_class(
    data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    run = fit_only(with_own_layer(), data, overrides=EPOCHS, runs=tmp_path)
    plugin = tmp_path / "mine.py"
    plugin.write_text("from typing import Any\nimport numpy as np\nfrom tenfold.backend import keras\n"
                      f"L = keras.layers\n{inspect.getsource(Scaled)}", encoding="utf-8")

    def predicted(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", PROCESS, str(run.path), *map(str, words)], capture_output=True,
                              text=True)

    assert predicted(plugin).stdout.strip() == tenfold.predict(run, np.zeros((8, 8)))[0].label
    refused = predicted()
    assert "its model has Scaled, of somebody's own; expected a file that registers" in refused.stderr
    assert "\n" not in refused.stderr.strip()


UNSUITABLE: dict[str, tuple[Callable[[], Any], type[TenfoldError], str]] = {
    "no image": (lambda: keras.Sequential([keras.Input((8,)), L.Dense(10)]), ModelFileError, "expected one input of"),
    "another loss": (lambda: compiled_with("mse"), UsageError, "with the loss mse; expected cross-entropy"),
    "a loss for many labels": (lambda: compiled_with("binary_crossentropy"), UsageError, "loss binary_crossentropy"),
    "a step of its own": (Stepping, UsageError, "has a train_step of its own"),
    "no get_config": (lambda: keras.Sequential([keras.Input((8, 8, 1)), Forgetful(np.ones(1)), L.Flatten(),
                                                L.Dense(10)]), UsageError, "can't be written down: .* a get_config"),
    "PyTorch in a Lambda": (lambda: keras.Sequential([keras.Input((8, 8, 1)), L.Lambda(lambda x: torch.relu(x)),
                                                      L.Flatten(), L.Dense(10)]), UsageError,
                            r"expected a function .*keras\.ops"),
    "another activation": (lambda: sequential("sigmoid"), ModelFileError, "ends with Dense with sigmoid; expected"),
    "no classes": (lambda: keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(2, 3)]), ModelFileError,
                   "ends with Conv2D"),
    "other classes": (lambda: sequential(units=7), UsageError, "has 7 outputs; expected 10"),
    "two inputs": (lambda: keras.Model([a := keras.Input((8, 8, 1)), keras.Input((8, 8, 1))], L.Flatten()(a)),
                   ModelFileError, "takes 2 inputs; expected one"),
    "another number of channels": (lambda: keras.Sequential([keras.Input((8, 8, 4)), L.Flatten(), L.Dense(10)]),
                                   UsageError, "received images of 1 channel; expected 4"),
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
