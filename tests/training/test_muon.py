"""Muon against the singular value decomposition and against its definition, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.backend import keras
from tenfold.models import build
from tenfold.recipe import Recipe
from tenfold.training import muon


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (20, 20)])
def test_orthogonalisation_keeps_singular_vectors_and_gives_values_near_one(
    shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    matrices = torch.from_numpy(rng.normal(size=(3, *shape)).astype(np.float32))
    found = muon.orthogonalised(matrices, steps=8)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    exact = u @ vt
    values = torch.linalg.svdvals(found)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3
    cosine = (found * exact).sum((1, 2)) / (found.norm(dim=(1, 2)) * exact.norm(dim=(1, 2)))
    assert float(cosine.min()) > 0.97


def test_a_batch_is_orthogonalised_like_its_single_matrices() -> None:
    matrices = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 8, 30)).astype(np.float32))
    together = muon.orthogonalised(matrices)
    for alone, part in zip(matrices, together, strict=True):
        torch.testing.assert_close(muon.orthogonalised(alone[None])[0], part, atol=1e-5, rtol=1e-4)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build(Recipe.from_dict({"model": {"name": "speednet", "filters": [8, 12]}}).model, (16, 16, 3), 4, fast=True)


def gradients(model: keras.Model, seed: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.normal(0, 1e-2, tuple(v.shape)).astype(np.float32)) for v in model.trainable_variables]


def test_normalized_muon_follows_its_definition() -> None:
    model = network()
    optimizer = muon.NormalizedMuon((0.2, 3.0, 0.5), momentum=0.6, dtype=torch.float32)
    optimizer.build(model.trainable_variables)
    expected = [v.value.detach().clone() for v in model.trainable_variables]
    sums = [torch.zeros_like(e) for e in expected]
    for step in range(3):
        grads = gradients(model, step)
        optimizer.apply(grads)
        for variable, value, total, gradient in zip(model.trainable_variables, expected, sums, grads, strict=True):
            kernel = value.ndim == 4
            m = 0.6 if kernel else 0.85
            total.mul_(m).add_(gradient)
            direction = gradient + m * total
            if kernel:
                value.mul_(value.shape[-1] ** 0.5 / value.norm())
                matrix = direction.permute(3, 0, 1, 2).reshape(value.shape[-1], -1)
                update = muon.orthogonalised(matrix[None])[0].reshape(-1, *value.shape[:3]).permute(1, 2, 3, 0)
                value.sub_(0.2 * update)
            else:
                value.sub_((0.5 if "logits" in variable.path else 3.0) * direction)
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        torch.testing.assert_close(variable.value.detach(), value, atol=1e-5, rtol=1e-4)


def moved(rate: float, decay: float, size: float) -> list[tuple[str, torch.Tensor]]:
    """Path and change of each variable of the network in one step of NormalizedMuon; `size` scales the gradients."""
    model = network()
    optimizer = muon.NormalizedMuon((0.2, 3.0, 0.5), momentum=0.6, weight_decay=decay, dtype=torch.float32)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    optimizer.learning_rate = rate
    optimizer.apply([torch.zeros_like(v.value) for v in model.trainable_variables])  # brings kernels to their norm
    before = [v.value.detach().clone() for v in model.trainable_variables]
    optimizer.apply([size * g for g in gradients(model, 0)])
    return [(v.path, v.value.detach() - b) for v, b in zip(model.trainable_variables, before, strict=True)]


def test_the_schedule_scales_all_rates() -> None:
    for (_, full), (_, half) in zip(moved(0.2, 0.0, 1.0), moved(0.1, 0.0, 1.0), strict=True):
        assert float(full.abs().max()) > 0
        torch.testing.assert_close(full, 2 * half, atol=2e-6, rtol=1e-3)


def test_weight_decay_applies_only_to_the_logits_kernel() -> None:
    for path, change in moved(0.2, 0.1, 0.0):
        shrinks = path.startswith("logits") and path.endswith("kernel")
        assert (float(change.abs().max()) > 1e-4) == shrinks, path
