"""Test-time augmentation: which views, with which weights, for which images."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tenfold.evaluation.views import with_views


def model(pixels: torch.Tensor, training: bool = False) -> torch.Tensor:
    """A classifier that is neither mirror- nor shift-invariant."""
    weights = torch.linspace(-1, 1, pixels[0].numel() * 3).sin().view(-1, 3)
    return torch.softmax(pixels.flatten(1) / 255 @ weights, 1)


PIXELS = torch.rand(20, 6, 5, 3, generator=torch.Generator().manual_seed(0)) * 255


def test_mirror_is_the_softmax_of_the_mean_logits_of_both() -> None:
    logits = [model(x).log() for x in (PIXELS, PIXELS.flip(2))]
    torch.testing.assert_close(with_views(model, "mirror")(PIXELS), torch.softmax(sum(logits) / 2, 1))


def test_mirror_translate_adds_both_diagonal_shifts_at_half_weight() -> None:
    padded = F.pad(PIXELS.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="reflect").permute(0, 2, 3, 1)
    upper, lower = padded[:, :6, :5], padded[:, 2:, 2:]
    both = with_views(model, "mirror")
    expected = torch.softmax(
        0.5 * both(PIXELS).log() + 0.25 * both(upper).log() + 0.25 * both(lower).log(), 1)
    torch.testing.assert_close(with_views(model, "mirror-translate")(PIXELS), expected)


def test_only_unsure_images_get_the_further_views() -> None:
    seen: list[int] = []

    def counting(pixels: torch.Tensor, training: bool = False) -> torch.Tensor:
        seen.append(len(pixels))
        return model(pixels)

    plain, every = model(PIXELS), with_views(model, "mirror")(PIXELS)
    limit = float(plain.amax(1).median())
    result = with_views(counting, "mirror", limit)(PIXELS)
    unsure = plain.amax(1) < limit
    assert 0 < int(unsure.sum()) < len(PIXELS)
    torch.testing.assert_close(result, torch.where(unsure[:, None], every, plain))
    assert seen == [20, int(unsure.sum())]
    assert torch.equal(with_views(model, "mirror", 1e-3)(PIXELS), plain)


def test_below_one_means_all_images_even_where_the_network_is_certain() -> None:
    def certain(pixels: torch.Tensor, training: bool = False) -> torch.Tensor:
        return F.one_hot((pixels.flatten(1)[:, 0] > 100).long(), 2).float()

    found = with_views(certain, "mirror")(PIXELS)
    first, mirrored = certain(PIXELS), certain(PIXELS.flip(2))
    differ = (first != mirrored).any(1)
    assert differ.any()
    torch.testing.assert_close(found[differ], torch.full((int(differ.sum()), 2), 0.5))
