"""Keras' activation functions as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tenfold.errors import UsageError
from tenfold.export.onnxgraph.graph import Graph, Value

# Keras' name → the ONNX operator and its attributes, for those that one operator computes.
OPERATORS: dict[str, tuple[str, dict[str, float | str]]] = {
    "relu": ("Relu", {}), "leaky_relu": ("LeakyRelu", {"alpha": 0.2}), "elu": ("Elu", {}), "selu": ("Selu", {}),
    "celu": ("Celu", {}), "gelu": ("Gelu", {}), "mish": ("Mish", {}), "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}), "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6}), "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}), "exponential": ("Exp", {}), "hard_silu": ("HardSwish", {}),
}


def activate(graph: Graph, activation: Any, value: Value) -> Value:
    """Apply an activation function of Keras. Raises UsageError for an unknown one."""
    name = getattr(activation, "__name__", str(activation))
    if name in ("linear", "None"):
        return value
    if name in OPERATORS:
        kind, attributes = OPERATORS[name]
        return replace(value, name=graph.node(kind, value.name, **attributes))
    if name in COMPOSED:
        return COMPOSED[name](graph, value)
    raise UsageError(f"the activation {name!r} has no ONNX form here; expected one of "
                     f"{', '.join(sorted([*OPERATORS, *COMPOSED]))}; choose another format, for example torch")


def clip(graph: Graph, value: Value, low: float, high: float) -> Value:
    """Limit all values to the range from `low` to `high`."""
    return replace(value, name=graph.node("Clip", value.name, graph.constant(low), graph.constant(high)))


def softmax(graph: Graph, value: Value, kind: str = "Softmax") -> Value:
    """The softmax over the channels."""
    return replace(value, name=graph.node(kind, value.name, axis=1 if value.first else -1))


def _silu(graph: Graph, value: Value) -> Value:
    return replace(value, name=graph.node("Mul", value.name, graph.node("Sigmoid", value.name)))


COMPOSED: dict[str, Callable[[Graph, Value], Value]] = {
    "silu": _silu, "swish": _silu, "softmax": softmax,
    "log_softmax": lambda graph, value: softmax(graph, value, "LogSoftmax"),
    "relu6": lambda graph, value: clip(graph, value, 0, 6), "hard_tanh": lambda graph, value: clip(graph, value, -1, 1),
    "hard_swish": lambda graph, value: activate(graph, "hard_silu", value),
}
