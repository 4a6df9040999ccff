"""How many layer calls a graph asks Keras for: a few kilobytes can ask for millions.

A network inside another is traced anew for each of its calls, and so is whatever lies inside it. A row of layers
(Sequential) is built anew for each layer that Keras adds to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MODELS = frozenset({"Functional", "Sequential", "Model"})
ROW = 4  # a call in a row, in ordinary ones: the network around it is made as well


def count(value: Any) -> int:
    """The layer calls that building a parsed graph takes, those of networks inside it multiplied by their calls."""
    if isinstance(value, list):
        return sum(map(count, value))
    if not isinstance(value, dict):
        return 0
    config = value.get("config")
    if value.get("class_name") in MODELS and isinstance(config, dict) and isinstance(config.get("layers"), list):
        called = _in_a_row if value["class_name"] == "Sequential" else _in_a_graph
        return called(config["layers"]) + sum(count(config[key]) for key in config if key != "layers")
    return sum(map(count, value.values()))


def _in_a_row(layers: Sequence[Any]) -> int:
    return sum((len(layers) - i) * (ROW + count(layer)) for i, layer in enumerate(layers))


def _in_a_graph(layers: Sequence[Any]) -> int:
    return sum(max(1, _nodes(layer)) * (1 + count(layer)) for layer in layers)


def _nodes(layer: Any) -> int:
    nodes = layer.get("inbound_nodes") if isinstance(layer, dict) else None
    return len(nodes) if isinstance(nodes, list) else 0
