"""Keras classifiers of one's own: drawn again with fast or plain layers, with the weights of their file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.backend import keras
from tenfold.data.location import model_root
from tenfold.errors import ModelFileError, UsageError
from tenfold.foreign.load import inside, load_model, sketch_model
from tenfold.models.backbone import flat, match_input, redraw
from tenfold.models.layers import Layers, finalise
from tenfold.recipe import ModelSection
from tenfold.recipe.options import options_of
from tenfold.registry import OPTIMIZERS
from tenfold.storage.files import write_whole

ADVICE = "set TENFOLD_CACHE to another directory"
LOSSES = ("categoricalcrossentropy",)  # with "sparse" in front or without; others are replaced by it
SCALING = ("Rescaling", "Normalization")  # layers that scale pixels themselves


def draw(layers: Layers, x: Any, file: str, pixels: str) -> Any:
    """Apply a classifier up to its last Dense layer to a symbolic batch of raw pixels; return features [n, d]."""
    features, _ = parts(_sketch(file), file)
    x = match_input(layers, x, features)
    if pixels == "0-1":
        x = keras.layers.Rescaling(1 / 255, dtype="float32", name="to_unit")(x)
    return redraw(layers, x, features, lambda layer: layer.trainable, prefix="")[0]


def check(section: ModelSection, classes: int) -> None:
    """Raise UsageError if the classifier has another number of classes, ModelFileError if it is unsuitable."""
    file = section.options["file"]
    units = parts(_sketch(file), file)[1].units
    if units != classes:
        raise UsageError(f"the model {file} has {units:,} outputs; expected {classes:,}, one for each class of the "
                         "data set")


def initialise(network: keras.Model, section: ModelSection) -> None:
    """Copy the weights of the file into a network from `tenfold.models.build`."""
    file = section.options["file"]
    features, last = parts(load_model(file), file)
    for layer, drawn in zip(flat(features), flat(parts(_sketch(file), file)[0]), strict=True):
        if layer.weights:
            network.get_layer(drawn.name).set_weights(layer.get_weights())
    kernel = last.get_weights()[0]
    bias = last.get_weights()[1] if last.use_bias else keras.ops.convert_to_numpy(keras.ops.zeros(last.units))
    network.get_layer("logits").set_weights([kernel, bias])
    finalise(network.layers)


def parts(model: keras.Model, file: str) -> tuple[keras.Model, Any]:
    """(the network up to the input of the last Dense layer, that layer). Raises ModelFileError without such a layer."""
    last, softmax = _producer(model.outputs[0]), False
    if isinstance(last, keras.layers.Softmax) or (isinstance(last, keras.layers.Activation) and _is_softmax(last)):
        last, softmax = _producer(last.input), True
    suitable = isinstance(last, keras.layers.Dense) and len(model.outputs) == 1 and len(last.input.shape) == 2
    if not suitable or not (last.activation.__name__ == "linear" or (_is_softmax(last) and not softmax)):
        given = f"{type(last).__name__}" + (f" with {last.activation.__name__}" if hasattr(last, "activation") else "")
        raise ModelFileError(f"{file}: the model ends with {given}; expected a Dense layer with a unit for each class, "
                             "with softmax or without an activation")
    return keras.Model(model.inputs, last.input, name=model.name), last


def _producer(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _is_softmax(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") == "softmax"


def _sketch(file: str) -> keras.Model:
    if not file:
        raise UsageError("model.file: received no path; expected a .keras file: `tenfold.train(model, data)` in Python "
                         "writes it")
    return sketch_model(Path(file).expanduser())


# ----------------------------------------------------------------------------------------------------
# models given in Python


def store(model: keras.Model) -> Path:
    """Write a model with its weights, but not its optimizer, to the cache; the name of the file is its content.

    Raises UsageError for a model without a graph from images to classes, ModelFileError for layers that are not Keras'
    own, StorageError.
    """
    graph = inside(model) if isinstance(model, keras.Sequential) else model
    if graph is None:
        raise UsageError("the Keras model has no input shape; expected one that begins with "
                         "keras.Input((height, width, channels))")
    if not isinstance(graph, keras.models.Model) or not hasattr(graph, "_run_through_graph"):
        raise UsageError(f"the Keras model is a {type(model).__name__}, a class of its own; expected a Sequential or "
                         "functional model of Keras' layers")
    plain = keras.Model(graph.inputs, graph.outputs, name=model.name)
    digest = hashlib.sha256(plain.to_json().encode())
    for weight in plain.get_weights():
        digest.update(weight.tobytes())
    path = model_root() / f"{digest.hexdigest()[:16]}.keras"
    if not path.is_file():
        write_whole(path, plain.save, ADVICE)
    parts(_sketch(str(path)), model.name)
    return path


def settings(model: keras.Model, file: Path) -> tuple[dict[str, Any], list[str]]:
    """(values of a recipe by key: the model, and the optimizer that it was compiled with; sentences about others)."""
    values: dict[str, Any] = {"model.name": "keras", "model.file": str(file)}
    scales = any(type(layer).__name__ in SCALING for layer in flat(model))
    values["model.pixels"] = "0-255" if scales else "0-1"
    notes = [] if scales else ["the model has no Rescaling layer: its pixels are divided by 255 (model.pixels=0-1)"]
    if any(getattr(layer, "kernel_regularizer", None) for layer in flat(model)):
        notes.append("the regularizers of the model's layers are not used; set train.optimizer.weight_decay instead")
    if getattr(model, "optimizer", None) is not None:
        values |= _optimizer(model.optimizer, notes)
        loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
        if not loss.lower().replace("_", "").removeprefix("sparse").startswith(LOSSES):
            notes.append(f"the loss is cross-entropy, not {loss}")
    return values, notes


def name_of(model: keras.Model) -> str:
    """The name of a model, fit for the name of a run."""
    return re.sub(r"[^\w.+-]+", "-", model.name).strip("-.+") or "model"


def _optimizer(optimizer: Any, notes: list[str]) -> Mapping[str, Any]:
    name = type(optimizer).__name__.lower()
    rate = getattr(optimizer, "_learning_rate", None)
    if name not in OPTIMIZERS:
        notes.append(f"the optimizer is that of the recipe, not {type(optimizer).__name__}; set train.optimizer")
        return {}
    values: dict[str, Any] = {"train.optimizer": name}
    for option in options_of(OPTIMIZERS.get(name)).model_fields:
        if getattr(optimizer, option, None) is not None:
            values[f"train.optimizer.{option}"] = getattr(optimizer, option)
    if isinstance(rate, keras.Variable):
        values["train.learning_rate"] = float(rate.numpy())
    else:
        notes.append("the learning rate is that of the recipe, not a schedule of Keras; set train.schedule")
    return values
