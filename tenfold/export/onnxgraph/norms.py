"""Normalisation and attention layers as ONNX nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.export.onnxgraph.activations import activate
from tenfold.export.onnxgraph.graph import Graph, Value
from tenfold.export.onnxgraph.layers import converts, numbers, unknown

SMALLEST = 1e-7  # Keras' smallest standard deviation in a Normalization layer


@converts("BatchNormalization")
def _batch_norm(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.axis not in (-1, len(value.shape)):
        raise unknown(layer, f"batch normalisation over axis {layer.axis}")
    mean, variance = numbers(layer.moving_mean), numbers(layer.moving_variance)
    gamma = numbers(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = numbers(layer.beta) if layer.center else np.zeros_like(mean)
    if len(value.shape) in (1, 3):
        name = graph.node("BatchNormalization", graph.channels_first(value), *map(graph.constant, (
            gamma, beta, mean, variance)), epsilon=float(layer.epsilon))
        return replace(value, name=name, first=len(value.shape) == 3)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    scaled = graph.node("Mul", value.name, graph.constant(scale))
    return replace(value, name=graph.node("Add", scaled, graph.constant(beta - mean * scale)))


@converts("Normalization")
def _normalization(graph: Graph, layer: Any, value: Value) -> Value:
    mean, deviation = numbers(layer.mean), np.maximum(np.sqrt(numbers(layer.variance)), SMALLEST)
    if max(mean.size, deviation.size) not in (1, value.shape[-1]) or layer.invert:
        raise unknown(layer, "a normalisation that is inverted or not per channel")
    centred = graph.node("Sub", value.name, graph.per_channel(mean, value))
    return replace(value, name=graph.node("Div", centred, graph.per_channel(deviation, value)))


@converts("LayerNormalization")
def _layer_norm(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.axis not in (-1, [-1], len(value.shape), [len(value.shape)]) or layer.rms_scaling:
        raise unknown(layer, "a layer normalisation over other axes than the last, or of the root mean square")
    channels = value.shape[-1]
    scale = numbers(layer.gamma) if layer.scale else np.ones(channels)
    offset = numbers(layer.beta) if layer.center else np.zeros(channels)
    name = graph.node("LayerNormalization", graph.channels_last(value), graph.constant(scale), graph.constant(offset),
                      axis=-1, epsilon=float(layer.epsilon))
    return Value(name, value.shape)


@converts("GroupNormalization")
def _group_norm(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.axis not in (-1, 3) or len(value.shape) != 3:
        raise unknown(layer, f"group normalisation over axis {layer.axis}")
    height, width, channels = value.shape
    groups = channels if layer.groups == -1 else layer.groups
    grouped = graph.node("Reshape", graph.channels_first(value), graph.constant([0, groups, -1], "int64"))
    name = graph.node("InstanceNormalization", grouped, graph.constant(np.ones(groups)),
                      graph.constant(np.zeros(groups)), epsilon=float(layer.epsilon))
    name = graph.node("Reshape", name, graph.constant([0, channels, height, width], "int64"))
    result = Value(name, value.shape, True)
    if layer.scale:
        result = replace(result, name=graph.node("Mul", result.name, graph.per_channel(numbers(layer.gamma), result)))
    if layer.center:
        result = replace(result, name=graph.node("Add", result.name, graph.per_channel(numbers(layer.beta), result)))
    return result


@converts("EinsumDense")
def _einsum_dense(graph: Graph, layer: Any, value: Value) -> Value:
    if "..." in layer.equation:
        raise unknown(layer, f"the equation {layer.equation}")
    kernel = numbers(layer.kernel)
    name = graph.node("Einsum", graph.channels_last(value), graph.constant(kernel), equation=layer.equation)
    if layer.bias is not None:
        name = graph.node("Add", name, graph.constant(numbers(layer.bias)))
    given, weights, result = layer.equation.replace("->", ",").split(",")
    sides = dict(zip(given[1:], value.shape, strict=True)) | dict(zip(weights, kernel.shape, strict=True))
    shape = tuple(sides[letter] for letter in result[1:])
    return activate(graph, layer.activation, Value(name, shape))


@converts("MultiHeadAttention")
def _attention(graph: Graph, layer: Any, query: Value, value: Value, key: Value | None = None) -> Value:
    """Scaled dot products of queries and keys, their softmax, the weighted sum of values, and a projection."""
    if len(query.shape) != 2 or getattr(layer, "_use_gate", False) or getattr(layer, "_sliding_window", None):
        raise unknown(layer, "attention over other than one axis, gated or in a window")
    q = _einsum_dense(graph, layer.query_dense, query)
    k = _einsum_dense(graph, layer.key_dense, key or value)
    v = _einsum_dense(graph, layer.value_dense, value)
    scaled = graph.node("Mul", q.name, graph.constant(1 / np.sqrt(layer.key_dim)))
    scores = graph.node("Einsum", scaled, k.name, equation="bqhd,bkhd->bhqk")
    mixed = graph.node("Einsum", graph.node("Softmax", scores, axis=-1), v.name, equation="bhqk,bkhd->bqhd")
    return _einsum_dense(graph, layer.output_dense, Value(mixed, (query.shape[0], *v.shape[1:])))
