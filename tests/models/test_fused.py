"""Convolutions with their activation in one pass against the layers themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold.models import fused
from tenfold.models.layers import Conv2D, DepthwiseConv2D

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


def layer(kind: str, size: int, stride: int, padding: str, channels: int = 4, **more: Any) -> Any:
    """A built layer for images of these channels, with a bias that is not zero."""
    options = {"kernel_size": size, "strides": stride, "padding": padding, "data_format": "channels_first", **more}
    made: Any = DepthwiseConv2D(**options) if kind == "depthwise" else Conv2D(6, **options)
    made.build((None, channels, None, None))
    made.bias.assign(np.linspace(-1, 1, made.bias.shape[0]))
    return made


def images(height: int, width: int, dtype: torch.dtype = torch.float32, channels: int = 4) -> torch.Tensor:
    x = torch.from_numpy(np.random.default_rng(height).normal(0, 4, (3, channels, height, width)).astype(np.float32))
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def check(own: Any, x: torch.Tensor) -> None:
    """The layer with each activation, in one pass and in two."""
    with torch.inference_mode():
        plain = own.convolve(x, own.torch_kernel(), own.bias._value)
        for name, expected in (("linear", plain), ("relu", F.relu(plain)), ("relu6", F.relu6(plain)), ("gelu", plain)):
            found = fused.convolution(own, own.torch_kernel(), own.bias._value, name, x)(x)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
            assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("sides", [(12, 12), (12, 9), (7, 12)])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kind", ["depthwise", "ordinary"])
def test_it_computes_the_layer_and_its_activation(kind: str, padding: str, stride: int, size: int,
                                                  sides: tuple[int, int]) -> None:
    check(layer(kind, size, stride, padding), images(*sides))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kind", "options"), [
    ("ordinary", {"stride": 2, "groups": 2}), ("ordinary", {"stride": 1, "dilation_rate": 2}),
    ("ordinary", {"stride": 1, "size": (2, 3), "dilation_rate": 3, "groups": 2}),
    ("ordinary", {"stride": 2, "channels": 1}), ("ordinary", {"stride": 1, "size": 4, "channels": 1}),
    ("depthwise", {"stride": 1, "size": 4, "dilation_rate": 3}), ("depthwise", {"stride": 2, "depth_multiplier": 2}),
    ("depthwise", {"stride": 2, "channels": 1, "depth_multiplier": 2})])
def test_groups_gaps_in_the_kernel_and_one_channel(kind: str, options: dict[str, Any], padding: str) -> None:
    own = layer(kind, **{"size": 3, "padding": padding, **options})
    check(own, images(12, 11, channels=options.get("channels", 4)))


def test_in_bfloat16_the_activation_sees_the_value_before_it_is_rounded() -> None:
    x = images(12, 12, torch.bfloat16)
    if not fused.possible(x):
        pytest.skip("oneDNN has no bfloat16 on this processor")
    own = layer("ordinary", 3, 2, "same")
    kernel, bias = own.torch_kernel().bfloat16(), own.bias._value.bfloat16()
    with torch.inference_mode():
        exact = F.relu6(own.convolve(x.float(), kernel.float(), bias.float()))
        found = fused.convolution(own, kernel, bias, "relu6", x)(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=0.01, rtol=2**-8)


def test_no_images_and_other_devices_are_left_to_pytorch() -> None:
    assert fused.possible(images(4, 4))
    assert not fused.possible(images(4, 4)[:0])
    assert not fused.possible(images(4, 4).to("meta"))
    assert not fused.possible(images(4, 4).half())
