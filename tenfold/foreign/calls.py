"""Counts the layer calls that Keras makes to build a graph: a few kilobytes of JSON can cause millions.

Keras traces a nested model again for each of its calls, with everything inside it. It rebuilds a Sequential model for
each layer that it adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MODELS = frozenset({"Functional", "Sequential", "Model"})
SEQUENTIAL_COST = 4  # a call in a Sequential model costs as much as 4 others, because the model is rebuilt too


def count(value: Any) -> int:
    """The number of layer calls needed to build a parsed graph. A nested model counts once for each of its calls."""
    if isinstance(value, list):
        return sum(map(count, value))
    if not isinstance(value, dict):
        return 0
    config = value.get("config")
    if value.get("class_name") in MODELS and isinstance(config, dict) and isinstance(config.get("layers"), list):
        count_layers = _count_sequential if value["class_name"] == "Sequential" else _count_functional
        return count_layers(config["layers"]) + sum(count(config[key]) for key in config if key != "layers")
    return sum(map(count, value.values()))


def _count_sequential(layers: Sequence[Any]) -> int:
    return sum((len(layers) - i) * (SEQUENTIAL_COST + count(layer)) for i, layer in enumerate(layers))


def _count_functional(layers: Sequence[Any]) -> int:
    return sum(max(1, _nodes(layer)) * (1 + count(layer)) for layer in layers)


def _nodes(layer: Any) -> int:
    nodes = layer.get("inbound_nodes") if isinstance(layer, dict) else None
    return len(nodes) if isinstance(nodes, list) else 0
