"""Keras layers as ONNX nodes: one function for each kind of layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.export.onnxgraph.activations import activate, clip, softmax
from tenfold.export.onnxgraph.graph import Graph, Value

CONVERTERS: dict[str, Callable[..., Value]] = {}


def converts(*kinds: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Decorator: the function converts layers with these class names; it gets (graph, layer, values…)."""

    def register(function: Callable[..., Value]) -> Callable[..., Value]:
        CONVERTERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def convert(graph: Graph, layer: Any, *arguments: Any, **options: Any) -> Value:
    """Add the nodes of a layer, or of an operation such as an addition. Raises UsageError for an unknown kind."""
    kind = type(layer).__name__
    is_layer = hasattr(layer, "compute_output_shape")
    if kind not in CONVERTERS or not (is_layer or kind in OPERATIONS):
        raise unknown(layer, f"{'layers' if is_layer else 'operations'} of kind {kind}")
    if getattr(layer, "data_format", None) == "channels_first":
        raise unknown(layer, "channels-first layers")
    graph.scope = layer.name
    given = {key: value for key, value in options.items()
             if key not in ("training", "mask") and value is not None and value is not False}
    values = arguments[0] if arguments and isinstance(arguments[0], (list, tuple)) else arguments
    if kind not in MERGES and any(np.ndim(value) for value in (*values, *given.values())):
        raise unknown(layer, "arrays of numbers")
    try:
        inspect.signature(CONVERTERS[kind]).bind(graph, layer, *values, **given)
    except TypeError:
        raise unknown(layer, f"other arguments than its inputs ({', '.join(given) or 'without names'})") from None
    return CONVERTERS[kind](graph, layer, *values, **given)


def unknown(layer: Any, what: str) -> UsageError:
    """The error for a layer that can't be converted."""
    return UsageError(f"layer {layer.name!r}: received {what}, which have no ONNX form here; choose another format, "
                      "for example torch")


def numbers(variable: Any) -> np.ndarray:
    """The values of a layer's weight."""
    from tenfold.backend import keras

    return np.asarray(keras.ops.convert_to_numpy(variable))


def output_shape(layer: Any, value: Value) -> tuple[int, ...]:
    """The shape of the layer's output for one image."""
    return tuple(layer.compute_output_shape((None, *value.shape))[1:])


def same_padding(sides: tuple[int, ...], sizes: Any, strides: Any, dilations: Any = (1, 1)) -> list[int]:
    """ONNX' pads (top, left, bottom, right) for Keras' padding "same"."""
    total = [max((-(-side // stride) - 1) * stride + (size - 1) * dilation + 1 - side, 0)
             for side, size, stride, dilation in zip(sides, sizes, strides, dilations, strict=True)]
    return [count // 2 for count in total] + [count - count // 2 for count in total]


@converts("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "Identity", "RandomFlip",
          "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness")
def _identity(graph: Graph, layer: Any, value: Value) -> Value:
    return value


@converts("Activation")
def _activation(graph: Graph, layer: Any, value: Value) -> Value:
    return _activated(graph, layer, value)


def _activated(graph: Graph, layer: Any, value: Value) -> Value:
    """Apply the layer's activation: a function, or a layer in older files."""
    activation = layer.activation
    if type(activation).__name__ in CONVERTERS:
        return convert(graph, activation, value)
    return activate(graph, activation, value)


@converts("ReLU")
def _relu(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.threshold:
        raise unknown(layer, "a ReLU with a threshold")
    slope, highest = float(layer.negative_slope or 0), layer.max_value
    if slope:
        value = replace(value, name=graph.node("LeakyRelu", value.name, alpha=slope))
        return value if highest is None else replace(
            value, name=graph.node("Min", value.name, graph.constant(highest)))
    return activate(graph, "relu", value) if highest is None else clip(graph, value, 0, float(highest))


@converts("LeakyReLU")
def _leaky_relu(graph: Graph, layer: Any, value: Value) -> Value:
    return replace(value, name=graph.node("LeakyRelu", value.name, alpha=float(layer.negative_slope)))


@converts("ELU")
def _elu(graph: Graph, layer: Any, value: Value) -> Value:
    return replace(value, name=graph.node("Elu", value.name, alpha=float(layer.alpha)))


@converts("PReLU")
def _prelu(graph: Graph, layer: Any, value: Value) -> Value:
    slope = numbers(layer.alpha)
    slope = slope.transpose(2, 0, 1) if value.first else slope
    return replace(value, name=graph.node("PRelu", value.name, graph.constant(slope)))


@converts("Softmax")
def _softmax(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.axis not in (-1, len(value.shape)):
        raise unknown(layer, f"a softmax over axis {layer.axis}")
    return softmax(graph, value)


@converts("Conv2D")
def _conv(graph: Graph, layer: Any, value: Value) -> Value:
    kernel = numbers(layer.kernel).transpose(3, 2, 0, 1)  # Keras: height, width, in, out
    y = _convolve(graph, layer, value, kernel, layer.groups, _bias(graph, layer))
    return _activated(graph, layer, replace(y, shape=output_shape(layer, value)))


@converts("DepthwiseConv2D")
def _depthwise_conv(graph: Graph, layer: Any, value: Value) -> Value:
    y = _convolve(graph, layer, value, _depthwise(layer.kernel), value.shape[-1], _bias(graph, layer))
    return _activated(graph, layer, replace(y, shape=output_shape(layer, value)))


@converts("SeparableConv2D")
def _separable_conv(graph: Graph, layer: Any, value: Value) -> Value:
    y = _convolve(graph, layer, value, _depthwise(layer.depthwise_kernel), value.shape[-1], [])
    pointwise = graph.constant(numbers(layer.pointwise_kernel).transpose(3, 2, 0, 1))
    name = graph.node("Conv", y.name, pointwise, *_bias(graph, layer))
    return _activated(graph, layer, Value(name, output_shape(layer, value), True))


def _convolve(graph: Graph, layer: Any, value: Value, kernel: np.ndarray, groups: int, bias: list[str]) -> Value:
    strides, dilations = list(layer.strides), list(layer.dilation_rate)
    pads = [0] * 4
    if layer.padding == "same":
        pads = same_padding(value.shape[:2], kernel.shape[2:], strides, dilations)
    name = graph.node("Conv", graph.channels_first(value), graph.constant(kernel), *bias, group=groups, pads=pads,
                      strides=strides, dilations=dilations, kernel_shape=list(kernel.shape[2:]))
    return Value(name, value.shape, True)


def _depthwise(kernel: Any) -> np.ndarray:
    """Keras' height, width, in, multiplier → ONNX' in × multiplier, 1, height, width."""
    weights = numbers(kernel)
    return weights.transpose(2, 3, 0, 1).reshape(-1, 1, *weights.shape[:2])


def _bias(graph: Graph, layer: Any) -> list[str]:
    return [graph.constant(numbers(layer.bias))] if layer.use_bias else []


@converts("Dense")
def _dense(graph: Graph, layer: Any, value: Value) -> Value:
    x, kernel = graph.channels_last(value), graph.constant(numbers(layer.kernel))
    if len(value.shape) == 1:
        name = graph.node("Gemm", x, kernel, *_bias(graph, layer))
    else:
        name = graph.node("MatMul", x, kernel)
        for bias in _bias(graph, layer):
            name = graph.node("Add", name, bias)
    return _activated(graph, layer, Value(name, (*value.shape[:-1], layer.units)))


@converts("Rescaling")
def _rescaling(graph: Graph, layer: Any, value: Value) -> Value:
    name = graph.node("Mul", value.name, graph.per_channel(layer.scale, value))
    if np.any(np.asarray(layer.offset) != 0):
        name = graph.node("Add", name, graph.per_channel(layer.offset, value))
    return replace(value, name=name)


@converts("LayerScale")
def _layer_scale(graph: Graph, layer: Any, value: Value) -> Value:
    return replace(value, name=graph.node("Mul", value.name, graph.per_channel(numbers(layer.gamma), value)))


@converts("Flatten")
def _flatten(graph: Graph, layer: Any, value: Value) -> Value:
    return Value(graph.node("Flatten", graph.channels_last(value), axis=1), (int(np.prod(value.shape)),))


@converts("Reshape")
def _reshape(graph: Graph, layer: Any, value: Value) -> Value:
    shape = output_shape(layer, value)
    return Value(graph.node("Reshape", graph.channels_last(value), graph.constant([0, *shape], "int64")), shape)


@converts("Permute")
def _permute(graph: Graph, layer: Any, value: Value) -> Value:
    name = graph.node("Transpose", graph.channels_last(value), perm=[0, *layer.dims])
    return Value(name, output_shape(layer, value))


@converts("Concatenate")
def _concatenate(graph: Graph, layer: Any, *values: Value) -> Value:
    shape = list(values[0].shape)
    axis = layer.axis if layer.axis > 0 else len(shape) + 1 + layer.axis
    shape[axis - 1] = sum(value.shape[axis - 1] for value in values)
    first = len(shape) == 3 and axis == 3
    names = [graph.channels_first(value) if first else graph.channels_last(value) for value in values]
    return Value(graph.node("Concat", *names, axis=1 if first else axis), tuple(shape), first)


MERGES = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Maximum": "Max", "Minimum": "Min", "Average": "Mean",
          "Divide": "Div", "TrueDivide": "Div"}
OPERATIONS = {*MERGES, "Concatenate"}  # kinds of operations that are no layers


@converts(*MERGES)
def _merge(graph: Graph, layer: Any, *values: Any) -> Value:
    """Combine values elementwise. Numbers, arrays of them and maps of 1×1 pixels are repeated over the others."""
    tensors = [value for value in values if isinstance(value, Value)]
    if len({len(value.shape) for value in tensors}) != 1:
        raise unknown(layer, "values of different ranks")
    rank, first = len(tensors[0].shape), any(value.first for value in tensors)
    if any(np.ndim(value) > rank and np.shape(value)[:-rank] != (1,) for value in values):
        raise unknown(layer, "arrays of numbers with one for each image")
    names = [_array(graph, value, first) if not isinstance(value, Value)
             else graph.channels_first(value) if first else value.name for value in values]
    kind = MERGES[type(layer).__name__]
    shape = tuple(np.broadcast_shapes(*(value.shape if isinstance(value, Value) else np.shape(value)[-rank:]
                                        for value in values)))
    if kind in ("Max", "Min", "Mean"):
        return Value(graph.node(kind, *names), shape, first)
    name = names[0]
    for other in names[1:]:
        name = graph.node(kind, name, other)
    return Value(name, shape, first)


def _array(graph: Graph, numbers: Any, first: bool) -> str:
    """A constant of one number, or of an array that broadcasts in Keras' order with [n, height, width, channels]."""
    array = np.asarray(numbers, np.float32)
    if first and array.ndim:
        array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(0, 3, 1, 2)
    return graph.constant(array)


@converts("CustomScaleLayer")
def _scaled_addition(graph: Graph, layer: Any, value: Value, other: Value) -> Value:
    """InceptionResNetV2's residual: value + scale × other."""
    scaled = graph.node("Mul", graph.channels_first(other), graph.constant(layer.scale))
    return Value(graph.node("Add", graph.channels_first(value), scaled), value.shape, len(value.shape) == 3)
