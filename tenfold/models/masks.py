"""Random masks for dropout: 64 random bits serve eight values, from numpy's SFC64."""

from __future__ import annotations

import numpy as np
import torch


def dropout_mask(x: torch.Tensor, threshold: int) -> torch.Tensor:
    """0 with probability threshold/256, else 256/(256 - threshold); shape, dtype and layout of `x`."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.SFC64(seed).random_raw(-(-x.numel() // 8))
    bits = torch.from_numpy(words.view(np.uint8)[: x.numel()])
    mask = bits.ge(threshold).to(x.dtype).mul_(256 / (256 - threshold))
    return mask.as_strided(x.shape, x.stride()) if _dense(x) else mask.view(x.shape)


def _dense(x: torch.Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
