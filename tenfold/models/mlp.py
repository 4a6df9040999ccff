"""Multi-layer perceptrons on flattened pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers

Units = Annotated[list[Annotated[int, Field(ge=1, le=65536)]], Field(min_length=1, max_length=16)]
Rate = Annotated[float, Field(ge=0, lt=1)]


@MODELS.add("mlp")
def mlp(
    layers: Layers,
    x: Any,
    *,
    hidden: Units = [512, 256],  # noqa: B006  (never changed: pydantic copies it)
    activation: Literal["relu", "gelu", "silu", "elu", "tanh"] = "relu",
    norm: Literal["none", "batch"] = "none",
    dropout: Rate = 0.0,
) -> Any:
    """Dense layers of `hidden` units, each followed by normalisation and dropout where asked for."""
    x = layers.flatten()(x)
    for units in hidden:
        if norm == "batch":
            x = layers.activation(activation)(layers.batch_norm()(layers.dense(units)(x)))
        else:
            x = layers.dense(units, activation=activation)(x)
        if dropout:
            x = layers.dropout(dropout)(x)
    return x
