"""Ensembles: one plain Keras model that gives the mean of its members' calibrated probabilities.

It has the parts of any other model of Tenfold: pixels in, a Dense layer `logits`, probabilities out. The input of
`logits` holds the features of all members, followed by the logarithm of the summed probabilities; its kernel picks out
that logarithm. So whatever reads features, logits or probabilities of a run, or exports its model, works here too.
If the members are kept apart, the logarithms of their own probabilities lie between both, one member after another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tenfold.backend import keras
from tenfold.models.backbone import flat, redraw
from tenfold.models.layers import Layers

PREFIX = "member{}_"  # of the names of a member's layers


def build(members: Sequence[tuple[keras.Model, float]], apart: bool = False) -> keras.Model:
    """The mean of plain networks (see `tenfold.models.build`) of the same images and classes, each at its temperature.

    The probabilities are the mean of softmax(logits / temperature) over the members (Lakshminarayanan et al. 2017).
    They are summed as logarithms, log(e^a + e^b) = a + softplus(b - a), so that none is too small for float32.
    apart: the features also hold the logarithms of each member's probabilities.
    """
    pixels = members[0][0].inputs[0]
    inputs = keras.Input(pixels.shape[1:], dtype="float32", name="pixels")
    features, logarithms = [], []
    for number, (model, _) in enumerate(members, 1):
        prefix, last = PREFIX.format(number), model.get_layer("logits")
        x, _ = redraw(Layers(fast=False), inputs, _body(model), lambda layer: False, prefix=prefix, blank=True)
        logits = keras.layers.Dense(last.units, name=f"{prefix}logits")(x)
        features.append(x)
        logarithms.append(keras.layers.Activation("log_softmax", name=f"{prefix}logarithms")(logits))
    total = logarithms[0]
    for other in logarithms[1:]:
        difference = keras.layers.Subtract()([other, total])
        total = keras.layers.Add()([total, keras.layers.Activation("softplus")(difference)])
    classes = members[0][0].output_shape[-1]
    inner = [*features, *(logarithms if apart else ())]
    logits = keras.layers.Dense(classes, name="logits")(keras.layers.Concatenate()([*inner, total]))
    ensemble = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(logits), name="ensemble")
    for number, (model, temperature) in enumerate(members, 1):
        _copy_weights(model, temperature, ensemble, PREFIX.format(number))
    others = sum(x.shape[-1] for x in inner)
    kernel = np.concatenate([np.zeros((others, classes)), np.eye(classes)]).astype(np.float32)
    ensemble.get_layer("logits").set_weights([kernel, np.full(classes, -math.log(len(members)), np.float32)])
    return ensemble


def _body(model: keras.Model) -> keras.Model:
    """A plain network from pixels to features."""
    return keras.Model(model.inputs, model.get_layer("logits").input)


def _copy_weights(model: keras.Model, temperature: float, ensemble: keras.Model, prefix: str) -> None:
    """Copy the weights of a member, with its temperature inside its last layer."""
    for layer in flat(_body(model)):
        if layer.weights:
            ensemble.get_layer(prefix + layer.name).set_weights(layer.get_weights())
    last = [(weight / temperature).astype(np.float32) for weight in model.get_layer("logits").get_weights()]
    ensemble.get_layer(f"{prefix}logits").set_weights(last)
