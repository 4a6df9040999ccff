"""Augmentations of whole batches of tensors.

Each function takes a `Batch` and returns a changed one. Its keyword-only parameters are its options in a recipe
(`[train.augment.NAME]`). Random numbers come from PyTorch's generator, which the engine seeds in every step.
The augmentations run in the order of this file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tenfold.registry import AUGMENTATIONS

if TYPE_CHECKING:
    import torch

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Batch:
    """The images and targets of one training step.

    `images` are float32 [n, channels, height, width], values 0–255, channels_last in memory. `targets` are int64
    labels [n] or float32 probabilities [n, classes]. `index` is int64 [n], the positions of the images in the
    training split. `epoch` counts from 1.
    """

    images: torch.Tensor
    targets: torch.Tensor
    classes: int
    index: torch.Tensor
    epoch: int = 1


def augmented(batch: Batch, augmentations: Mapping[str, Mapping[str, Any]], scale: float = 1.0) -> Batch:
    """Apply augmentations, given as name → options, then resize the images by `scale`."""
    import torch
    import torch.nn.functional as F

    from tenfold.models.resizing import scaled

    height, width = batch.images.shape[2:]
    for name, options in augmentations.items():
        batch = AUGMENTATIONS.get(name)(batch, **options)
    x, size = batch.images, scaled((height, width), scale)
    if x.shape[2:] != size:
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
    return replace(batch, images=x.contiguous(memory_format=torch.channels_last))


@AUGMENTATIONS.add("mirror")
def mirror(batch: Batch, *, probability: Probability = 0.5, alternate: bool = False) -> Batch:
    """Mirror each image left to right with the given `probability`.

    With `alternate`, each image is mirrored in every other epoch instead, half of the images in the first epoch;
    `probability` is ignored (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds", section 3.6).
    """
    import torch

    images = batch.images
    if alternate:
        bit = (batch.index * 2654435761 >> 16) + batch.epoch  # Knuth's multiplicative hash
        flip = bit.remainder(2).bool()[:, None, None, None]
    else:
        flip = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
    return replace(batch, images=torch.where(flip, images.flip(3), images))


@AUGMENTATIONS.add("translate")
def translate(batch: Batch, *, pixels: Annotated[int, Field(ge=1, le=64)] = 2) -> Batch:
    """Shift each image by up to `pixels` in each direction and fill the gap with the reflected image."""
    import torch

    images = batch.images
    n, _, height, width = images.shape
    shifts = torch.randint(-pixels, pixels + 1, (2, n, 1), device=images.device)
    rows = _reflect(torch.arange(height, device=images.device) + shifts[0], height)
    columns = _reflect(torch.arange(width, device=images.device) + shifts[1], width)
    return replace(batch, images=_pixels(images, rows, columns))


@AUGMENTATIONS.add("crop")
def crop(batch: Batch, *, fraction: Annotated[float, Field(gt=0, lt=1)] = 0.875) -> Batch:
    """Crop a window at a random position (Krizhevsky et al. 2012, section 4.1).

    Its height and width are `fraction` of the image's and at least one pixel smaller. The window is resized to the
    image's size, or to the size set by `train.image_scales`. If both fractions are equal, and without
    `model.image_size`, windows are not resized. Objects then keep their scale in the smaller training images; the
    model must accept images of any size.
    """
    import torch

    images = batch.images
    positions = []
    for side in images.shape[2:]:
        window = max(min(round(side * fraction), side - 1), 1)
        start = torch.randint(0, side - window + 1, (len(images), 1), device=images.device)
        positions.append(torch.arange(window, device=images.device) + start)
    return replace(batch, images=_pixels(images, *positions))


@AUGMENTATIONS.add("rotate")
def rotate(batch: Batch, *, degrees: Annotated[float, Field(gt=0, le=180)] = 10.0) -> Batch:
    """Rotate each image about its centre by up to `degrees` in either direction (bilinear, reflected border)."""
    import torch
    import torch.nn.functional as F

    images = batch.images
    n, _, height, width = images.shape
    angle = (torch.rand(n, device=images.device) * 2 - 1) * math.radians(degrees)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    aspect = height / width
    matrix = torch.stack([cosine, -sine * aspect, zero, sine / aspect, cosine, zero], dim=1).view(n, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return replace(batch, images=turned.contiguous(memory_format=torch.channels_last))


@AUGMENTATIONS.add("cutout")
def cutout(batch: Batch, *, pixels: Annotated[int, Field(ge=1, le=256)] = 8) -> Batch:
    """Make a random square of `pixels` × `pixels` grey; it may extend over the border (DeVries & Taylor 2017)."""
    import torch

    images = batch.images
    n, _, height, width = images.shape
    row = torch.randint(0, height, (n, 1), device=images.device) - pixels // 2
    column = torch.randint(0, width, (n, 1), device=images.device) - pixels // 2
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    inside = ((y >= row) & (y < row + pixels))[:, :, None] & ((x >= column) & (x < column + pixels))[:, None, :]
    return replace(batch, images=images.masked_fill(inside[:, None], 127.5))


@AUGMENTATIONS.add("brightness_contrast")
def brightness_contrast(
    batch: Batch, *,
    brightness: Probability = 0.2, contrast: Probability = 0.2,
) -> Batch:
    """Multiply contrast by 1 ± `contrast` at most and change brightness by ± `brightness` × 255 at most."""
    import torch

    images = batch.images
    factor, shift = (torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = (images - mean) * (1 + factor * contrast) + mean + shift * brightness * 255
    return replace(batch, images=changed.clamp_(0, 255))


@AUGMENTATIONS.add("mixup")
def mixup(batch: Batch, *, alpha: Annotated[float, Field(gt=0, le=10)] = 0.2) -> Batch:
    """Blend each image and its target with those of another image (Zhang et al. 2018).

    The weight of the first image is drawn from Beta(`alpha`, `alpha`).
    """
    import torch
    import torch.nn.functional as F

    images, targets = batch.images, batch.targets
    if not targets.is_floating_point():
        targets = F.one_hot(targets, batch.classes).float()
    concentration = torch.full((len(images),), alpha, device=images.device)
    fraction = torch.distributions.Beta(concentration, concentration).sample()
    other = torch.randperm(len(images), device=images.device)
    pixel, label = fraction[:, None, None, None], fraction[:, None]
    return replace(batch, images=images * pixel + images[other] * (1 - pixel),
                   targets=targets * label + targets[other] * (1 - label))


def _pixels(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Gather from each image [n, channels, height, width] its own `rows` [n, h] and `columns` [n, w]."""
    import torch

    index = torch.arange(len(images), device=images.device)[:, None, None]
    found = images.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return found.permute(0, 3, 1, 2)


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    """Map indices into [0, size) by reflection that does not repeat the edge pixel."""
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return index.minimum(period - index) if size > 1 else index * 0
