"""Loads batches of a split onto the device when a trainer needs them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tenfold.data.view import Images, View


class Loader:
    """Loads images uint8 [n, height, width, channels] (or features float32 [n, d]); `labels` int64 [n] on the device.

    On the CPU, numpy gathers each batch from memory or disk, because it copies rows of bytes twenty times as fast as
    PyTorch. For a GPU, images in memory are moved there once, and images on disk batch by batch.
    """

    def __init__(self, images: Images, labels: np.ndarray, device: str = "cpu") -> None:
        self.labels = torch.tensor(labels, device=device)
        self._device = device
        self._images = images
        moved = device != "cpu" and _in_memory(images)
        self._resident = torch.tensor(np.asarray(images), device=device) if moved else None

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The images at `rows` (int64 [b] on the CPU, or a slice), in that order, on the device."""
        if self._resident is not None:
            return self._resident[rows]
        found = self._images[rows.numpy() if isinstance(rows, torch.Tensor) else rows]
        return torch.from_numpy(np.require(found, requirements=["C", "W"])).to(self._device)

    def batches(self, size: int, count: int | None = None) -> Iterator[torch.Tensor]:
        """Batches of `size` images in order; only the first `count` images if given."""
        end = len(self) if count is None else min(count, len(self))
        for start in range(0, end, size):
            yield self.images(slice(start, min(start + size, end)))


def _in_memory(images: Images) -> bool:
    base = images.base if isinstance(images, View) else images
    return isinstance(base, np.ndarray) and not isinstance(base, np.memmap)
