"""Depthwise convolution whose gradients in bfloat16 are as fast on a CPU as in float32.

oneDNN, which computes PyTorch's convolutions on CPUs, has no fast bfloat16 kernels for two gradients: that of the input
with a stride, and that of a kernel larger than 3×3. They take 3 to 40 times as long as in float32, so that fine-tuning
EfficientNet-Lite0 in bfloat16 would be half as fast as in float32. These gradients are computed in float32 here.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

Pair = tuple[int, int]


def convolve(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None, strides: Pair, padding: Pair,
             dilation: Pair, groups: int) -> torch.Tensor:
    """`torch.nn.functional.conv2d`; with one group per channel, it is a depthwise convolution."""
    slow = groups == x.shape[1] > 1 and (max(strides) > 1 or max(kernel.shape[2:]) > 3)
    if not (slow and x.dtype == torch.bfloat16 and x.device.type == "cpu" and torch.is_grad_enabled()):
        return F.conv2d(x, kernel, bias, strides, padding, dilation, groups)
    y = _Depthwise.apply(x, kernel, strides, padding, dilation)
    return y if bias is None else y + bias[:, None, None]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor, kernel: torch.Tensor, strides: Pair, padding: Pair,
                dilation: Pair) -> torch.Tensor:
        context.save_for_backward(x, kernel)
        context.geometry = strides, padding, dilation
        return F.conv2d(x, kernel, None, strides, padding, dilation, x.shape[1])

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, kernel = context.saved_tensors
        found = torch.ops.aten.convolution_backward(
            gradients[0].float(), x.float(), kernel.float(), None, *context.geometry, False, (0, 0), x.shape[1],
            (context.needs_input_grad[0], context.needs_input_grad[1], False))
        return *(None if each is None else each.to(x.dtype) for each in found[:2]), None, None, None
