"""[E] Augmentation of whole batches, on tensors.

Each function takes `images` (float32 [n, channels, height, width], values 0–255, channels_last in
memory) and `targets` (int64 labels [n], or float32 probabilities [n, classes]) and returns both; its
keyword-only parameters are its options in a recipe (`[train.augment.NAME]`). Randomness comes from
PyTorch's generator, which the engine seeds for every step. They are applied in the order below.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tenfold.registry import AUGMENTATIONS

if TYPE_CHECKING:
    import torch

Probability = Annotated[float, Field(ge=0, le=1)]


@AUGMENTATIONS.add("mirror")
def mirror(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *, probability: Probability = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror each image left to right with that probability."""
    import torch

    flip = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
    return torch.where(flip, images.flip(3), images), targets


@AUGMENTATIONS.add("translate")
def translate(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *, pixels: Annotated[int, Field(ge=1, le=64)] = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shift each image by up to `pixels` in each direction; what comes in is reflected at the border."""
    import torch

    n, _, height, width = images.shape
    shifts = torch.randint(-pixels, pixels + 1, (2, n, 1), device=images.device)
    rows = _reflect(torch.arange(height, device=images.device) + shifts[0], height)
    columns = _reflect(torch.arange(width, device=images.device) + shifts[1], width)
    index = torch.arange(n, device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2), targets


@AUGMENTATIONS.add("rotate")
def rotate(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *, degrees: Annotated[float, Field(gt=0, le=180)] = 10.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn each image about its centre by up to `degrees` either way (bilinear, reflected border)."""
    import torch
    import torch.nn.functional as F

    n, _, height, width = images.shape
    angle = (torch.rand(n, device=images.device) * 2 - 1) * math.radians(degrees)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    aspect = height / width
    matrix = torch.stack([cosine, -sine * aspect, zero, sine / aspect, cosine, zero], dim=1).view(n, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return turned.contiguous(memory_format=torch.channels_last), targets


@AUGMENTATIONS.add("cutout")
def cutout(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *, pixels: Annotated[int, Field(ge=1, le=256)] = 8
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey out a square of `pixels` a side at a random place, which may overlap the border (DeVries & Taylor 2017)."""
    import torch

    n, _, height, width = images.shape
    row = torch.randint(0, height, (n, 1), device=images.device) - pixels // 2
    column = torch.randint(0, width, (n, 1), device=images.device) - pixels // 2
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    inside = ((y >= row) & (y < row + pixels))[:, :, None] & ((x >= column) & (x < column + pixels))[:, None, :]
    return images.masked_fill(inside[:, None], 127.5), targets


@AUGMENTATIONS.add("brightness_contrast")
def brightness_contrast(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *,
    brightness: Probability = 0.2, contrast: Probability = 0.2,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale contrast about the image's mean by up to ± `contrast`, shift by up to ± `brightness` × 255."""
    import torch

    factor, shift = (torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = (images - mean) * (1 + factor * contrast) + mean + shift * brightness * 255
    return changed.clamp_(0, 255), targets


@AUGMENTATIONS.add("mixup")
def mixup(
    images: torch.Tensor, targets: torch.Tensor, classes: int, *, alpha: Annotated[float, Field(gt=0, le=10)] = 0.2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend each image and its target with another's, by a share drawn from Beta(alpha, alpha) (Zhang et al. 2018)."""
    import torch
    import torch.nn.functional as F

    if not targets.is_floating_point():
        targets = F.one_hot(targets, classes).float()
    concentration = torch.full((len(images),), alpha, device=images.device)
    share = torch.distributions.Beta(concentration, concentration).sample()
    other = torch.randperm(len(images), device=images.device)
    pixel, label = share[:, None, None, None], share[:, None]
    return images * pixel + images[other] * (1 - pixel), targets * label + targets[other] * (1 - label)


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    """Fold indices back into [0, size) by reflection that does not repeat the edge."""
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return index.minimum(period - index) if size > 1 else index * 0
