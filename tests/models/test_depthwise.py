"""Depthwise convolution: its gradients against PyTorch's own in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tenfold.models import depthwise


@pytest.mark.parametrize("trained", [(True, True), (True, False), (False, True)], ids=["both", "input", "kernel"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("size", "stride", "sides"), [
    (3, 1, (11, 8)), (3, 2, (11, 8)), (5, 1, (11, 8)), (5, 2, (11, 8)), (7, 1, (11, 8)), (9, 2, (11, 8)),
    (3, 1, (1, 1)), (3, 1, (2, 5)), (3, 2, (2, 2)), (5, 1, (2, 2)), (5, 2, (1, 4))])
def test_values_and_gradients_are_those_of_float32(
    size: int, stride: int, sides: tuple[int, int], precision: torch.dtype, trained: tuple[bool, bool]
) -> None:
    torch.manual_seed(0)
    shapes = [(4, 6, *sides), (6, 1, size, size), (6,)]
    values = [torch.randn(shape).bfloat16() for shape in shapes]
    results = []
    for dtype, convolve in ((torch.float32, F.conv2d), (precision, depthwise.convolve)):
        x, kernel, bias = (value.to(dtype).requires_grad_(asked)
                           for value, asked in zip(values, (*trained, True), strict=True))
        y = convolve(x, kernel, bias, (stride, stride), (size // 2, size // 2), (1, 1), 6)
        y.float().square().sum().backward()
        results.append([y.detach(), *(value.grad for value in (x, kernel, bias) if value.grad is not None)])
    assert len(results[0]) == 2 + sum(trained)
    for ours, expected in zip(results[1], results[0], strict=True):
        assert ours.dtype == precision
        tolerance = 0.02 if precision == torch.bfloat16 else 1e-5
        torch.testing.assert_close(ours.float(), expected, atol=tolerance * float(expected.abs().max()), rtol=0)
