"""A small, fast-learning network without residuals: whitened input, identity-like initial weights, no learnt scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tenfold.models.options import Activation, Initial, Rate, Widths
from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers


@MODELS.add("speednet")
def speednet(
    layers: Layers,
    x: Any,
    *,
    filters: Widths = [64, 256, 256],  # noqa: B006  (never changed: pydantic copies it)
    convolutions: Annotated[int, Field(ge=2, le=8)] = 2,
    activation: Activation = "silu",
    whitening: bool = True,
    initial: Initial = "dirac",
    norm_momentum: Rate = 0.6,
) -> Any:
    """The network of airbench94: whitening, one block of `convolutions` per value in `filters`, global max pooling.

    Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU". A block is a convolution, 2×2 pooling, batch
    normalisation and activation, then the other convolutions, each with batch normalisation and activation. Global
    max pooling lets the network accept images of any size, so it suits `train.image_scales`. `whitening` adds a
    frozen first layer, computed from 2×2 patches of training images. `initial` sets the initial kernels: "dirac"
    passes the input through, "glorot" is random. `norm_momentum` is the fraction of the running statistics that
    batch normalisation keeps in each step; use a low value if training takes few steps.
    """
    if whitening:
        x = layers.whiten(2, layers.channels(x))(x)
        x = layers.activation(activation)(x)
    for width in filters:
        for i in range(convolutions):
            x = layers.conv(width, use_bias=False, initial=initial)(x)
            if i == 0 and min(layers.sides(x)) >= 2:
                x = layers.max_pool()(x)
            x = layers.activation(activation)(layers.batch_norm(norm_momentum, 1e-5, scale=False)(x))
    x = layers.global_max_pool()(x)
    return layers.scale(filters[-1] ** -0.5)(x)
