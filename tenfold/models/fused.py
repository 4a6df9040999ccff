"""A convolution and its activation in one pass over memory, by the call of oneDNN that PyTorch's compiler uses.

Only for inference on a CPU: the kernel is brought once into the order in which oneDNN reads it, and the activation is
applied to each value before it is written. Where "same" needs more zeros after an image than before it, PyTorch copies
the image into a larger one; a depthwise kernel gets zeros in front of it instead, which costs less than the copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from tenfold.models.layers import Convolution, channels_last

# Names in Keras to names and numbers in oneDNN.
ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "linear": ("none", []), "relu": ("relu", []), "relu6": ("hardtanh", [0.0, 6.0])}


def possible(x: torch.Tensor) -> bool:
    """Whether oneDNN computes convolutions of these images [n, channels, height, width] here."""
    return bool(len(x)) and x.device.type == "cpu" and torch.backends.mkldnn.is_available() and (
        x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def convolution(layer: Convolution, kernel: torch.Tensor, bias: torch.Tensor | None, activation: str,
                like: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that computes a layer with this kernel and bias for images with the height and width of `like`.

    kernel: [out, in / groups, height, width], dtype of the images. An activation that is not in ACTIVATIONS is left
    to the caller.
    """
    own: Any = layer
    groups = like.shape[1] // kernel.shape[1]
    rows, columns = layer.zeros(like.shape[2:])
    more = rows[1] - rows[0], columns[1] - columns[0]
    outside = [0, 0, 0, 0]
    padding = rows[1], columns[1]
    if any(more) and kernel.shape[1] == 1 and tuple(own.dilation_rate) == (1, 1):
        kernel = F.pad(kernel, [more[1], 0, more[0], 0])
    elif any(more):
        outside, padding = [*columns, *rows], (0, 0)
    geometry = padding, own.strides, own.dilation_rate, groups
    size = [*like.shape[:2], like.shape[2] + sum(outside[2:]), like.shape[3] + sum(outside[:2])]
    kernel = torch.ops.mkldnn._reorder_convolution_weight(
        kernel.contiguous(memory_format=torch.channels_last), *geometry, size)
    after = *ACTIVATIONS.get(activation, ACTIVATIONS["linear"]), ""

    def compute(x: torch.Tensor) -> torch.Tensor:
        x = channels_last(x)
        y: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            F.pad(x, outside) if any(outside) else x, kernel, bias, *geometry, *after)
        return y

    return compute
