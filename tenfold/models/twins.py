"""Twins: the layers of a Keras graph, created again with plain or fast layers.

Plain layers are unchanged; fast layers are channels-first, in the precision of the training. If a layer has no
channels-first form, the whole graph stays channels-last behind one permutation: slower, with the same results. Layers
of the user's own are created again as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tenfold.backend import keras
from tenfold.foreign.custom import is_known as is_known
from tenfold.foreign.graph import AUGMENTATIONS, ELEMENTWISE, SEQUENCES
from tenfold.foreign.load import inside, is_graph
from tenfold.models.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Layers,
    MaxPooling2D,
    ReLU6,
)

PREFIX = "backbone_"  # of the names of backbone layers; no other layer name starts with it
ANY_FORMAT = ("Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "GaussianDropout", "GaussianNoise", "Add",
              "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Identity", "CustomScaleLayer")
BY_AXIS = ("BatchNormalization", "Normalization", "Concatenate")
OVER_CHANNELS = ("softmax", "log_softmax", "glu")  # activations along the last axis


def redraw(layers: Layers, x: Any, model: keras.Model, is_trained: Callable[[Any], bool], *, prefix: str = PREFIX,
           blank: bool = False) -> tuple[Any, bool]:
    """Apply twins of a graph's layers to a symbolic batch: (their output, whether the twins are channels-first).

    The names of the twins begin with `prefix`; if `blank`, their weights are zero, to be replaced.
    """
    channels_first = layers.fast and _has_channels_first_form(model)
    if layers.fast and not channels_first:
        x = keras.layers.Permute((2, 3, 1), dtype="float32", name="channels_last")(x)
    twins = _Twins(layers, channels_first, model.inputs[0].shape[-1], is_trained, prefix, blank)
    return model._run_through_graph(x, operation_fn=twins), channels_first


class _Twins:
    """Creates one twin of each layer of a graph, with a new name; if `blank`, with weights of zero to be replaced."""

    def __init__(self, layers: Layers, channels_first: bool, channels: int, is_trained: Callable[[Any], bool],
                 prefix: str, blank: bool) -> None:
        self.layers, self.channels_first, self.channels, self.is_trained = layers, channels_first, channels, is_trained
        self.prefix, self.blank = prefix, blank
        self.made: dict[int, Any] = {}

    def __call__(self, operation: Any) -> Any:
        if is_graph(operation):  # a nested network: use its layers directly
            return lambda x, **_: inside(operation)._run_through_graph(x, operation_fn=self)
        if isinstance(operation, keras.layers.InputLayer):
            return lambda x: x
        if not isinstance(operation, keras.layers.Layer):
            return operation  # a plain addition or multiplication has no weights and works in either format
        if id(operation) not in self.made:
            twin = self._twin(operation)
            turned = self.channels_first and type(operation).__name__ in AUGMENTATIONS
            self.made[id(operation)] = self._channels_last(twin) if turned else twin
        return self.made[id(operation)]

    def _channels_last(self, twin: Any) -> Callable[..., Any]:
        """The twin between permutations, which copy nothing."""
        there, back = (keras.layers.Permute(order, dtype="float32", name=f"{twin.name}_{name}")
                       for order, name in (((2, 3, 1), "channels_last"), ((3, 1, 2), "channels_first")))
        return lambda x, **options: back(twin(there(x), **options))

    def _twin(self, layer: Any) -> Any:
        config = layer.get_config()
        if not is_known(layer):
            return self._own(layer, config)
        config["name"] = self.prefix + layer.name
        config["dtype"] = self._dtype(layer)
        if self.blank:  # random numbers take a second
            config |= dict.fromkeys((key for key in config if key.endswith("_initializer")), "zeros")
        if self.channels_first and type(layer).__name__ not in AUGMENTATIONS:
            if "data_format" in config:
                config["data_format"] = "channels_first"
            if type(layer).__name__ in BY_AXIS:
                config["axis"] = 1
            if isinstance(layer, keras.layers.Reshape) and len(layer.target_shape) == 3:
                config["target_shape"] = (layer.target_shape[2], *layer.target_shape[:2])
            if isinstance(layer, keras.layers.Rescaling):
                config |= {key: np.reshape(config[key], (-1, 1, 1)).tolist() for key in ("scale", "offset")
                           if np.ndim(config[key]) == 1}
        twin = self._kind(layer).from_config(config)
        twin.trainable = self.is_trained(layer)
        return twin

    def _own(self, layer: Any, config: dict[str, Any]) -> Any:
        """The twin of a layer of the user's own: in the dtype that it has, with the arguments that it knows."""
        twin = type(layer).from_config({**config, "name": self.prefix + layer.name} if "name" in config else config)
        twin.name = self.prefix + layer.name
        twin.trainable = self.is_trained(layer)
        return twin

    def _kind(self, layer: Any) -> Any:
        """The class of the twin: the fast one if it has the same weights."""
        if not self.channels_first or layer.activity_regularizer is not None:
            return type(layer)
        kind = type(layer)
        if kind is keras.layers.BatchNormalization and layer.scale and layer.center:
            return BatchNormalization
        if kind is keras.layers.ReLU and layer.max_value == 6 and not layer.negative_slope and not layer.threshold:
            return ReLU6
        if kind is keras.layers.Dropout and not layer.noise_shape:
            return Dropout
        if kind is keras.layers.Dense and layer.use_bias:
            return Dense
        if kind is keras.layers.MaxPooling2D and layer.padding == "valid" and layer.strides == layer.pool_size:
            return MaxPooling2D
        return {keras.layers.Conv2D: Conv2D, keras.layers.DepthwiseConv2D: DepthwiseConv2D,
                keras.layers.Flatten: Flatten}.get(kind, kind)

    def _dtype(self, layer: Any) -> str:
        """The dtype of the twin: float32 for layers on the image itself, because bfloat16 loses bits of a pixel."""
        shape = keras.tree.flatten(layer.output)[0].shape  # of the first result
        narrow = isinstance(shape, tuple) and shape[-1] == self.channels
        wide = narrow or not self.layers.fast or type(layer).__name__ in SEQUENCES | AUGMENTATIONS
        return "float32" if wide else self.layers.dtype


def flat(model: keras.Model) -> list[Any]:
    """The layers of a graph, including those of nested networks."""
    inner = [flat(layer) if is_graph(layer) else [layer] for layer in model.layers]
    return [layer for group in inner for layer in group if not isinstance(layer, keras.layers.InputLayer)]


def _has_channels_first_form(operation: Any) -> bool:
    """Whether a graph or an operation gives the same results with channels first."""
    if is_graph(operation):
        parts = inside(operation).operations
        return all(_has_channels_first_form(part) for part in parts if not isinstance(part, keras.layers.InputLayer))
    kind, nodes = type(operation).__name__, operation._inbound_nodes
    given = [{len(x.shape) for x in node.input_tensors} for node in nodes]
    if any(len(ranks) > 1 for ranks in given):  # broadcasting along the last axes depends on the format
        return False
    spatial = any(len(x.shape) == 4 for node in nodes for x in node.output_tensors)
    if not isinstance(operation, keras.layers.Layer):  # such as an addition of maps or of a number
        return kind in ELEMENTWISE and all(isinstance(x, keras.KerasTensor | int | float | str | None)
                                           for node in nodes for x in keras.tree.flatten(
                                               [node.arguments.args, node.arguments.kwargs]))
    if kind in AUGMENTATIONS or not is_known(operation):
        return kind in AUGMENTATIONS
    noise = getattr(operation, "noise_shape", None) or ()  # dropping whole images works in either format
    if not _is_pointwise(getattr(operation, "activation", None), spatial) or any(side != 1 for side in noise[1:]):
        return False
    if kind in BY_AXIS:
        axis = operation.axis
        return axis in (-1, 3, [-1], [3], (3,), (-1,))
    if kind == "Reshape":  # as attention blocks do with pooled features
        return len(operation.target_shape) == 3 and tuple(operation.target_shape[:2]) == (1, 1)
    if kind == "Rescaling":
        return max(np.ndim(operation.scale), np.ndim(operation.offset)) <= int(spatial)
    if kind == "Dense":
        return given == [{2}] * len(nodes)
    if kind == "Softmax":
        return False
    return kind in ANY_FORMAT or "data_format" in operation.get_config()


def _is_pointwise(activation: Any, spatial: bool) -> bool:
    """Whether an activation (a function, a layer or None) of feature maps is elementwise."""
    if isinstance(activation, keras.layers.Layer):
        return _has_channels_first_form(activation)
    return not (spatial and getattr(activation, "__name__", None) in OVER_CHANNELS)
