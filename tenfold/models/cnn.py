"""Convolutional networks: blocks of convolutions and pooling, then dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tenfold.models.options import Activation, OptionalWidths, Rate, Widths
from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers

MONOTONE = ("relu", "elu", "tanh")


@MODELS.add("cnn")
def cnn(
    layers: Layers,
    x: Any,
    *,
    filters: Widths = [32, 64, 128],  # noqa: B006  (never changed: pydantic copies it)
    convolutions: Annotated[int, Field(ge=1, le=8)] = 1,
    kernel_size: Annotated[int, Field(ge=1, le=15)] = 3,
    activation: Activation = "relu",
    norm: Literal["none", "batch", "batch-per-block"] = "none",
    pool: Literal["max", "average"] = "max",
    dropout: Rate = 0.0,
    pooling: Literal["flatten", "global-average"] = "flatten",
    dense: OptionalWidths = [128],  # noqa: B006
    dense_dropout: Rate = 0.0,
) -> Any:
    """A ConvNet with one block per value in `filters`: `convolutions`, normalisation, pooling by 2 and dropout.

    `norm` is "batch" (after each convolution, before its activation) or "batch-per-block" (at the end of each
    block). Padding is "same". `pool` is the kind of pooling in the blocks. Feature maps narrower than 2 pixels are not
    pooled, so every network accepts images of 8×8 pixels or more. `pooling` turns the last feature maps into a
    vector: "flatten" keeps every value, "global-average" the mean of each map. Hidden `dense` layers follow, each
    with `dense_dropout`.
    """
    for width in filters:
        pools = min(layers.sides(x)) >= 2
        # Max pooling and a monotone activation commute; after pooling the activation costs a quarter.
        pool_first = pools and pool == "max" and norm == "none" and activation in MONOTONE
        for i in range(convolutions):
            last = i == convolutions - 1
            if norm == "batch":
                x = layers.conv(width, kernel_size, use_bias=False)(x)
                x = layers.activation(activation)(layers.batch_norm()(x))
            else:
                x = layers.conv(width, kernel_size, activation=None if last and pool_first else activation)(x)
        if norm == "batch-per-block":
            x = layers.batch_norm()(x)
        if pools:
            x = (layers.max_pool() if pool == "max" else layers.average_pool())(x)
        if pool_first:
            x = layers.activation(activation)(x)
        if dropout:
            x = layers.dropout(dropout)(x)
    x = (layers.flatten() if pooling == "flatten" else layers.global_average_pool())(x)
    for units in dense:
        x = layers.dense(units, activation=activation)(x)
        if dense_dropout:
            x = layers.dropout(dense_dropout)(x)
    return x

