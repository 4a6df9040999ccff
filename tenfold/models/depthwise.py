"""Depthwise convolution whose gradients are as fast on a CPU as they can be.

oneDNN, which computes PyTorch's convolutions on CPUs, has no fast kernels for three gradients. That of the input with a
stride takes 10 to 40 times as long in bfloat16 as in float32: it is computed in float32. That of a kernel larger than
3×3 takes 6 to 30 times as long in bfloat16 as that of a 3×3 kernel: it is put together from those of its 3×3 parts.
That of a kernel for images of 1 or 2 pixels a side takes 5 to 40 times as long as with zeros around them, in both
precisions: zeros are added.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F

Pair = tuple[int, int]
FAST = 3  # rows and columns of the kernels whose gradient is fast, and at least those of the images


def convolve(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None, strides: Pair, padding: Pair,
             dilation: Pair, groups: int) -> torch.Tensor:
    """`torch.nn.functional.conv2d`; with one group per channel, it is a depthwise convolution."""
    slow = min(x.shape[2:]) < FAST or (
        x.dtype == torch.bfloat16 and (max(strides) > 1 or max(kernel.shape[2:]) > FAST))
    if not (slow and groups == x.shape[1] > 1 and x.device.type == "cpu" and torch.is_grad_enabled()):
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
        (x, kernel), (y,) = context.saved_tensors, gradients
        of_input, of_kernel = context.needs_input_grad[:2]
        return (_of_input(y, x, kernel, *context.geometry) if of_input else None,
                _of_kernel(y, x, kernel, *context.geometry) if of_kernel else None, None, None, None)


def _of_input(y: torch.Tensor, x: torch.Tensor, kernel: torch.Tensor, strides: Pair, padding: Pair,
              dilation: Pair) -> torch.Tensor:
    """The gradient of the input from that of the output, `y`. Of the input itself, only the shape counts."""
    dtype = torch.float32 if max(strides) > 1 else x.dtype
    like = torch.empty_like(x, dtype=dtype)
    return _gradient(0, y.to(dtype), like, kernel.to(dtype), strides, padding, dilation).to(x.dtype)


def _of_kernel(y: torch.Tensor, x: torch.Tensor, kernel: torch.Tensor, strides: Pair, padding: Pair,
               dilation: Pair) -> torch.Tensor:
    """The gradient of the kernel from that of the output, `y`."""
    height, width = kernel.shape[2:]
    in_parts = min(height, width) >= FAST < max(height, width) and dilation == (1, 1)
    if any(padding) and (in_parts or min(x.shape[2:]) < FAST):
        x, padding = F.pad(x, [padding[1], padding[1], padding[0], padding[0]]), (0, 0)
    if not in_parts:
        return _gradient(1, y, x, kernel, strides, padding, dilation)
    rows, columns = ((y.shape[2 + i] - 1) * strides[i] + FAST for i in (0, 1))
    found = torch.empty_like(kernel)
    for top, left in itertools.product(_parts(height), _parts(width)):
        part = x[:, :, top : top + rows, left : left + columns].contiguous(memory_format=torch.channels_last)
        like = kernel[:, :, :FAST, :FAST]
        found[:, :, top : top + FAST, left : left + FAST] = _gradient(1, y, part, like, strides, (0, 0), dilation)
    return found


def _gradient(which: int, y: torch.Tensor, x: torch.Tensor, kernel: torch.Tensor, *geometry: Pair) -> torch.Tensor:
    """PyTorch's gradient of the input (0) or the kernel (1)."""
    found: tuple[torch.Tensor, ...] = torch.ops.aten.convolution_backward(
        y, x, kernel, None, *geometry, False, (0, 0), x.shape[1], (which == 0, which == 1, False))
    return found[which]


def _parts(side: int) -> list[int]:
    """The starts of parts of FAST rows that cover `side` rows."""
    return sorted({min(start, side - FAST) for start in range(0, side, FAST)})
