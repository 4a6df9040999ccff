"""Where a fast network may compute an activation in place, which saves memory and time."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tenfold.models.layers import (
    ActivationLayer,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    MaxPooling2D,
    Rescaling,
    Whitening,
)

# Layers that return a new tensor, and whose gradients do not need it unless they have an activation.
MAKING = (AveragePooling2D, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Rescaling, Whitening)


def allow(network: Any) -> None:
    """Let an activation change its input if that comes from a layer in MAKING and nothing else reads it.

    Max pooling may lie between them; it returns its own input if that is too small to pool.
    """
    reads = Counter(map(id, network.outputs))
    reads.update(id(x) for operation in network.operations for node in operation._inbound_nodes
                 for x in node.input_tensors)

    def is_free(x: Any) -> bool:
        layer, node, _ = x._keras_history
        if reads[id(x)] > 1:
            return False
        if type(layer) is MaxPooling2D:
            return all(map(is_free, layer._inbound_nodes[node].input_tensors))
        activation = getattr(layer, "activation", None)
        return type(layer) in MAKING and (activation is None or getattr(activation, "__name__", "") == "linear")

    for layer in network.operations:
        if isinstance(layer, ActivationLayer):
            layer.in_place = all(is_free(x) for node in layer._inbound_nodes for x in node.input_tensors)
