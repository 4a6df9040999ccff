"""Augmentations do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.training import augment


@pytest.fixture
def images() -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 12, 10, 3)).astype(np.float32)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


LABELS = torch.arange(64) % 4


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 20, 44), (1.0, 64, 64)])
def test_mirror_flips_that_share(images: torch.Tensor, probability: float, low: int, high: int) -> None:
    out, _ = augment.mirror(images, LABELS, 4, probability=probability)
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(out, images, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(out, images, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True))
    assert low <= sum(flipped) <= high


def test_translate_is_a_crop_of_the_reflected_image(images: torch.Tensor) -> None:
    out, _ = augment.translate(images, LABELS, 4, pixels=2)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    shifts = set()
    for image, big in zip(out, padded, strict=True):
        found = [(r, c) for r in range(5) for c in range(5) if torch.equal(image, big[:, r : r + 12, c : c + 10])]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 15


def test_rotate_by_nothing_is_nothing_and_by_a_half_turn_is_a_half_turn(images: torch.Tensor) -> None:
    out, _ = augment.rotate(images, LABELS, 4, degrees=1e-6)
    torch.testing.assert_close(out, images, atol=1e-2, rtol=0)


def test_rotate_keeps_the_centre_and_turns_by_the_angle() -> None:
    line = torch.zeros(200, 1, 21, 21)
    line[:, :, 10, :] = 255.0
    out, _ = augment.rotate(line, torch.zeros(200, dtype=torch.int64), 2, degrees=40)
    assert torch.all(out[:, 0, 10, 10] > 150)
    steep = (out[:, 0, :3, :] > 100).flatten(1).any(1)  # only turns beyond about 36 degrees reach the top rows
    assert 0 < int(steep.sum()) < 60


def test_cutout_greys_out_one_square(images: torch.Tensor) -> None:
    out, _ = augment.cutout(images, LABELS, 4, pixels=4)
    changed = (out != images).any(1).flatten(1).sum(1)
    assert int(changed.max()) == 16
    assert torch.all(changed >= 4)  # at least a quarter of the square is inside the image


def test_brightness_and_contrast_stay_within_their_bounds(images: torch.Tensor) -> None:
    images = images / 4 + 96  # far from 0 and 255, so that nothing is clipped
    out, _ = augment.brightness_contrast(images, LABELS, 4, brightness=0.1, contrast=0.3)
    shift = (out.mean((1, 2, 3)) - images.mean((1, 2, 3))).abs()
    ratio = out.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 10 < float(shift.max()) <= 25.5
    assert 0.7 <= float(ratio.min()) < 0.8 < 1.2 < float(ratio.max()) <= 1.3 + 1e-4


def test_mixup_blends_images_and_targets_by_one_share(images: torch.Tensor) -> None:
    images = LABELS.float()[:, None, None, None].expand_as(images).clone()  # each image shows its label
    out, targets = augment.mixup(images, LABELS, 4, alpha=1.0)
    torch.testing.assert_close(out[:, 0, 0, 0], targets @ torch.arange(4.0), atol=1e-4, rtol=1e-4)
    assert torch.all(targets.sum(1).sub(1).abs() < 1e-5)
    again, _ = augment.mixup(out, targets, 4, alpha=1.0)  # targets that are probabilities already
    assert again.shape == out.shape
