"""Builds the ONNX model of a plain Keras model, directly from its layers: without tracing, in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnx

from tenfold.export.onnxgraph import norms, pixels  # noqa: F401  (importing them registers their layers)
from tenfold.export.onnxgraph.graph import Graph, Value
from tenfold.export.onnxgraph.layers import convert

if TYPE_CHECKING:
    import keras


def build(plain: keras.Model, temperature: float, facts: Mapping[str, Any]) -> onnx.ModelProto:
    """The ONNX model of a plain network of Tenfold: uint8 [n, height, width, channels], any n, to four outputs.

    float32 `probabilities` and `calibrated` (of the logits divided by `temperature`) [n, k], `features` [n, d] and
    `logits` [n, k]. `facts` become the property `tenfold` as JSON. Raises UsageError for layers without an ONNX form.
    """
    from tenfold.backend import keras

    graph, shape = Graph(), tuple(plain.input_shape[1:])
    layer = plain.get_layer("logits")
    body = keras.Model(plain.inputs, [layer.input, layer.output])
    image = Value(graph.node("Cast", "pixels", to=onnx.TensorProto.FLOAT), shape)
    features, logits = body._run_through_graph(image, lambda each: lambda *a, **k: convert(graph, each, *a, **k))
    graph.scope = ""
    scaled = graph.node("Div", logits.name, graph.constant(temperature))
    classes = logits.shape[0]
    outputs = {
        "probabilities": (graph.node("Softmax", logits.name, axis=1), classes),
        "calibrated": (graph.node("Softmax", scaled, axis=1), classes),
        "features": (graph.channels_last(features), features.shape[0]), "logits": (logits.name, classes),
    }
    return graph.model(shape, outputs, {"tenfold": json.dumps(facts, ensure_ascii=False)})
