"""Keras classifiers of one's own: drawn again with fast or plain layers, with the weights of their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.backend import keras
from tenfold.counted import counted
from tenfold.errors import ModelFileError, UsageError
from tenfold.foreign.load import load_model, sketch_model
from tenfold.models.backbone import match_input
from tenfold.models.layers import Layers, finalise
from tenfold.models.twins import flat, redraw
from tenfold.recipe import ModelSection


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
    sketch = _sketch(file)
    units = sketch.outputs[0].shape[-1]
    parts(sketch, file)
    if units != classes and (units, classes) != (1, 2):
        raise UsageError(f"the model {file} has {counted(units, 'output')}; expected {classes:,}, one for each class "
                         "of the data set")


def initialise(network: keras.Model, section: ModelSection) -> None:
    """Copy the weights of the file into a network from `tenfold.models.build`, and the penalties of its last layer.

    A single output becomes the second of two classes, whose probabilities are the same. Without a Dense layer at its
    end, the network has one that changes nothing and is not trained.
    """
    file = section.options["file"]
    features, last = parts(load_model(file), file)
    for layer, drawn in zip(flat(features), flat(parts(_sketch(file), file)[0]), strict=True):
        if layer.weights:
            network.get_layer(drawn.name).set_weights(layer.get_weights())
    logits = network.get_layer("logits")
    if last is None:
        logits.set_weights([np.eye(logits.units), np.zeros(logits.units)])
        logits.trainable = False
    else:
        kernel = keras.ops.convert_to_numpy(last.kernel)
        bias = keras.ops.convert_to_numpy(last.bias) if last.use_bias else np.zeros(last.units)
        added = logits.units - last.units
        logits.set_weights([np.pad(kernel, ((0, 0), (added, 0))), np.pad(bias, (added, 0))])
        logits.trainable = last.trainable
        for name in ("kernel", "bias"):
            getattr(logits, name).regularizer = getattr(last, f"{name}_regularizer")
            getattr(logits, name).constraint = getattr(last, f"{name}_constraint")
    finalise(network.layers)


def parts(model: keras.Model, file: str) -> tuple[keras.Model, Any]:
    """(the network up to the input of the last Dense layer, that layer), or (the network up to its softmax, None).

    Raises ModelFileError for a model that ends otherwise.
    """
    output = model.outputs[0]
    last, before = _producer(output)
    softmax = _activation(last) == "softmax" and not isinstance(last, keras.layers.Dense)
    sigmoid = _activation(last) == "sigmoid" and not isinstance(last, keras.layers.Dense)
    if softmax or (sigmoid and output.shape[-1] == 1):
        output = before
        last, before = _producer(output)
    single = len(model.outputs) == 1 and len(output.shape) == 2
    if single and isinstance(last, keras.layers.Dense) and last.activity_regularizer is None:
        allowed = ("linear",) if softmax or sigmoid else ("linear", "sigmoid" if last.units == 1 else "softmax")
        if _activation(last) in allowed and (last.units > 1 or not softmax):
            return keras.Model(model.inputs, before, name=model.name), last
    elif single and softmax and output.shape[-1] > 1:
        return keras.Model(model.inputs, output, name=model.name), None
    given = f"{type(last).__name__}" + (f" with {_activation(last)}" if hasattr(last, "activation") else "")
    raise ModelFileError(f"{file}: the model ends with {given}; expected a Dense layer with a unit for each class, "
                         "with softmax or without an activation, or one unit with sigmoid for two classes")


def _producer(tensor: Any) -> tuple[Any, Any]:
    """(the operation that returns a tensor, its first input)."""
    operation, node, _ = tensor._keras_history
    inputs = operation._inbound_nodes[node].input_tensors
    return operation, inputs[0] if inputs else tensor


def _activation(operation: Any) -> str:
    """The activation of a layer, or that which an operation is; empty if none."""
    if type(operation).__name__ in ("Softmax", "Sigmoid") and getattr(operation, "axis", -1) == -1:
        return type(operation).__name__.lower()
    return getattr(getattr(operation, "activation", None), "__name__", "")


def _sketch(file: str) -> keras.Model:
    if not file:
        raise UsageError("model.file: received no path; expected a .keras file: `tenfold.train(model, data)` in Python "
                         "writes it")
    return sketch_model(Path(file).expanduser())
