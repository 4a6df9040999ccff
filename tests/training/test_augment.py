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


def batch(images: torch.Tensor, targets: torch.Tensor = LABELS, epoch: int = 1) -> augment.Batch:
    return augment.Batch(images, targets, 4, torch.arange(len(images)), epoch)


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 20, 44), (1.0, 64, 64)])
def test_mirror_flips_the_given_fraction(images: torch.Tensor, probability: float, low: int, high: int) -> None:
    out = augment.mirror(batch(images), probability=probability).images
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(out, images, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(out, images, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True))
    assert low <= sum(flipped) <= high


def test_alternating_mirror_flips_each_image_in_every_second_epoch(images: torch.Tensor) -> None:
    epochs = [augment.mirror(batch(images, epoch=e), alternate=True).images for e in (1, 2, 3)]
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(epochs[0], images, strict=True)]
    assert 20 <= sum(flipped) <= 44
    torch.testing.assert_close(epochs[1], epochs[0].flip(3), atol=0, rtol=0)
    torch.testing.assert_close(epochs[2], epochs[0], atol=0, rtol=0)


def test_translate_is_a_crop_of_the_reflected_image(images: torch.Tensor) -> None:
    out = augment.translate(batch(images), pixels=2).images
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    shifts = set()
    for image, big in zip(out, padded, strict=True):
        found = [(r, c) for r in range(5) for c in range(5) if torch.equal(image, big[:, r : r + 12, c : c + 10])]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 15


def test_crop_uses_every_window_position(images: torch.Tensor) -> None:
    out = augment.crop(batch(images), fraction=0.75).images
    assert out.shape == (64, 3, 9, 8)
    places = set()
    for image, window in zip(images, out, strict=True):
        found = [(r, c) for r in range(4) for c in range(3) if torch.equal(window, image[:, r : r + 9, c : c + 8])]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) == 12


def test_a_window_is_smaller_than_the_image(images: torch.Tensor) -> None:
    assert augment.crop(batch(images), fraction=0.99).images.shape == (64, 3, 11, 9)


def test_windows_are_scaled_to_the_image_size_or_the_given_size(images: torch.Tensor) -> None:
    crop = {"crop": {"fraction": 0.75}}
    assert augment.augmented(batch(images), crop).images.shape == (64, 3, 12, 10)
    assert augment.augmented(batch(images), crop, 0.5).images.shape == (64, 3, 6, 5)
    flat = torch.full_like(images, 77.0)
    torch.testing.assert_close(augment.augmented(batch(flat), crop).images, flat)
    torch.manual_seed(1)
    asked = augment.augmented(batch(images), crop, 0.75).images
    torch.manual_seed(1)
    torch.testing.assert_close(asked, augment.crop(batch(images), fraction=0.75).images, atol=0, rtol=0)
    assert asked.is_contiguous(memory_format=torch.channels_last)


def test_rotate_by_zero_degrees_changes_nothing(images: torch.Tensor) -> None:
    out = augment.rotate(batch(images), degrees=1e-6).images
    torch.testing.assert_close(out, images, atol=1e-2, rtol=0)


def test_rotate_keeps_the_centre_and_turns_by_the_angle() -> None:
    line = torch.zeros(200, 1, 21, 21)
    line[:, :, 10, :] = 255.0
    out = augment.rotate(batch(line), degrees=40).images
    assert torch.all(out[:, 0, 10, 10] > 150)
    steep = (out[:, 0, :3, :] > 100).flatten(1).any(1)  # only turns beyond about 36 degrees reach the top rows
    assert 0 < int(steep.sum()) < 60


def test_cutout_greys_out_one_square(images: torch.Tensor) -> None:
    out = augment.cutout(batch(images), pixels=4).images
    changed = (out != images).any(1).flatten(1).sum(1)
    assert int(changed.max()) == 16
    assert torch.all(changed >= 4)  # at least a quarter of the square is inside the image


def test_brightness_and_contrast_stay_within_their_bounds(images: torch.Tensor) -> None:
    images = images / 4 + 96  # far from 0 and 255, so that nothing is clipped
    out = augment.brightness_contrast(batch(images), brightness=0.1, contrast=0.3).images
    shift = (out.mean((1, 2, 3)) - images.mean((1, 2, 3))).abs()
    ratio = out.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 10 < float(shift.max()) <= 25.5
    assert 0.7 <= float(ratio.min()) < 0.8 < 1.2 < float(ratio.max()) <= 1.3 + 1e-4


def test_mixup_blends_images_and_targets_with_the_same_weight(images: torch.Tensor) -> None:
    images = LABELS.float()[:, None, None, None].expand_as(images).clone()  # each image shows its label
    out = augment.mixup(batch(images), alpha=1.0)
    torch.testing.assert_close(out.images[:, 0, 0, 0], out.targets @ torch.arange(4.0), atol=1e-4, rtol=1e-4)
    assert torch.all(out.targets.sum(1).sub(1).abs() < 1e-5)
    again = augment.mixup(out, alpha=1.0)  # targets that are probabilities already
    assert again.images.shape == images.shape
