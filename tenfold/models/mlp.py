"""Multi-layer perceptrons on flattened pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tenfold.models.options import Activation, Rate, Widths
from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers


@MODELS.add("mlp")
def mlp(
    layers: Layers,
    x: Any,
    *,
    hidden: Widths = [512, 256],  # noqa: B006  (never changed: pydantic copies it)
    activation: Activation = "relu",
    norm: Literal["none", "batch"] = "none",
    dropout: Rate = 0.0,
) -> Any:
    """Dense layers with `hidden` units, each followed by batch normalisation (`norm`) and `dropout` if set."""
    x = layers.flatten()(x)
    for units in hidden:
        if norm == "batch":
            x = layers.activation(activation)(layers.batch_norm()(layers.dense(units)(x)))
        else:
            x = layers.dense(units, activation=activation)(x)
        if dropout:
            x = layers.dropout(dropout)(x)
    return x
