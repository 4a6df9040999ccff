"""Layers that move, pool or resize pixels, as ONNX nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.export.onnxgraph.graph import Graph, Value
from tenfold.export.onnxgraph.layers import converts, output_shape, same_padding, unknown

# Keras' interpolation → Resize's attributes that compute the same as Keras' calls of PyTorch's `interpolate`.
RESIZE: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
    "bicubic": {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel", "cubic_coeff_a": -0.75},
}


@converts("MaxPooling2D", "AveragePooling2D")
def _pool(graph: Graph, layer: Any, value: Value) -> Value:
    sizes, strides = list(layer.pool_size), list(layer.strides)
    pads = same_padding(value.shape[:2], sizes, strides) if layer.padding == "same" else [0] * 4
    x = graph.channels_first(value)
    if type(layer).__name__ == "MaxPooling2D":
        name = graph.node("MaxPool", x, kernel_shape=sizes, strides=strides, pads=pads)
    else:
        if pads[:2] != pads[2:]:  # Keras on PyTorch then repeats the border and counts it
            x, pads = _padded(graph, x, pads, "edge"), [0] * 4
        name = graph.node("AveragePool", x, kernel_shape=sizes, strides=strides, pads=pads)
    return Value(name, output_shape(layer, value), True)


@converts("GlobalAveragePooling2D", "GlobalMaxPooling2D")
def _global_pool(graph: Graph, layer: Any, value: Value) -> Value:
    kind = "GlobalMaxPool" if type(layer).__name__ == "GlobalMaxPooling2D" else "GlobalAveragePool"
    name = graph.node(kind, graph.channels_first(value))
    if layer.keepdims:
        return Value(name, (1, 1, value.shape[-1]), True)
    return Value(graph.node("Flatten", name, axis=1), (value.shape[-1],))


@converts("ZeroPadding2D")
def _zero_padding(graph: Graph, layer: Any, value: Value) -> Value:
    (top, bottom), (left, right) = layer.padding
    name = _padded(graph, graph.channels_first(value), [top, left, bottom, right], "constant")
    return Value(name, output_shape(layer, value), True)


@converts("Cropping2D")
def _cropping(graph: Graph, layer: Any, value: Value) -> Value:
    (top, _), (left, _) = layer.cropping
    return _cropped(graph, value, top, left, output_shape(layer, value))


@converts("CenterCrop")
def _center_crop(graph: Graph, layer: Any, value: Value) -> Value:
    height, width, _ = value.shape
    if height < layer.height or width < layer.width:
        raise unknown(layer, "a crop larger than its image")
    shape = (layer.height, layer.width, value.shape[-1])
    return _cropped(graph, value, (height - layer.height) // 2, (width - layer.width) // 2, shape)


@converts("Resizing")
def _resizing(graph: Graph, layer: Any, value: Value) -> Value:
    if layer.antialias or layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        raise unknown(layer, "antialiased, cropping or padding resizing")
    return _resized(graph, layer, value, layer.interpolation)


@converts("UpSampling2D")
def _up_sampling(graph: Graph, layer: Any, value: Value) -> Value:
    return _resized(graph, layer, value, layer.interpolation)


def _resized(graph: Graph, layer: Any, value: Value, interpolation: str) -> Value:
    if interpolation not in RESIZE:
        raise unknown(layer, f"{interpolation} interpolation")
    shape = output_shape(layer, value)
    if shape == value.shape:
        return value
    scales = graph.constant([1, 1, *map(_scale, value.shape[:2], shape[:2])])
    name = graph.node("Resize", graph.channels_first(value), "", scales, **RESIZE[interpolation])
    return Value(name, shape, True)


def _scale(side: int, wanted: int) -> np.float32:
    """The factor from `side` to `wanted`: runtimes round their product down.

    Sizes would need no such care, but name the batch size, or a list of axes that ONNX Runtime 1.32 mishandles.
    """
    factor = np.float32(wanted / side)
    return factor if float(factor) * side >= wanted else np.nextafter(factor, np.float32(np.inf))


def _padded(graph: Graph, name: str, pads: list[int], mode: str) -> str:
    top, left, bottom, right = pads
    return graph.node("Pad", name, graph.constant([0, 0, top, left, 0, 0, bottom, right], "int64"), mode=mode)


def _cropped(graph: Graph, value: Value, top: int, left: int, shape: tuple[int, ...]) -> Value:
    start, stop = [top, left], [top + shape[0], left + shape[1]]
    name = graph.node("Slice", graph.channels_first(value), graph.constant(start, "int64"),
                      graph.constant(stop, "int64"), graph.constant([2, 3], "int64"))
    return replace(value, name=name, shape=shape, first=True)
