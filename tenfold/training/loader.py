"""A split as a trainer reads it: batches on the device, gathered when they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tenfold.data.view import Images, View


class Loader:
    """Images uint8 [n, height, width, channels] (or features float32 [n, d]) and `labels` int64 [n] on a device.

    The processor gathers batches from where the images lie, in memory or on the disk: nothing else is copied, and
    numpy copies rows of bytes twenty times as fast as PyTorch does. To another device, images in memory are moved
    as a whole, and those on the disk batch by batch.
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
        """The images of some rows (int64 [b] on the processor, or a slice), in that order, on the device."""
        if self._resident is not None:
            return self._resident[rows]
        found = self._images[rows.numpy() if isinstance(rows, torch.Tensor) else rows]
        return torch.from_numpy(np.require(found, requirements=["C", "W"])).to(self._device)

    def batches(self, size: int, count: int | None = None) -> Iterator[torch.Tensor]:
        """The images in order, `size` at a time; only the first `count` if that is given."""
        end = len(self) if count is None else min(count, len(self))
        for start in range(0, end, size):
            yield self.images(slice(start, min(start + size, end)))


def _in_memory(images: Images) -> bool:
    base = images.base if isinstance(images, View) else images
    return isinstance(base, np.ndarray) and not isinstance(base, np.memmap)
