"""Muon: momentum that is orthogonalised before each update (Keller Jordan et al. 2024).

A convolution kernel is treated as the matrix out × (height × width × in). Matrices of the same shape are
orthogonalised together by Newton–Schulz iterations, in bfloat16 if the training computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from tenfold.backend import keras

STEPS = 3  # of Newton–Schulz, as in airbench94; singular values only need to be near one


def is_matrix(variable: Any) -> bool:
    """Whether Muon updates a variable: all kernels except that of the logits layer."""
    return len(variable.shape) in (2, 4) and "logits" not in variable.path


def orthogonalised(matrices: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
    """Approximate the semi-orthogonal matrices nearest to [batch, rows, columns]; same shape and dtype.

    Quintic Newton–Schulz iterations with Jordan's coefficients move singular values near the largest to 0.7–1.2;
    those below a hundredth of the largest stay smaller.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.float().square().sum((1, 2), keepdim=True).sqrt() + 1e-7).to(x.dtype)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def updates(kernels: list[tuple[torch.Tensor, Any, torch.Tensor]], momentum: float, nesterov: bool,
            dtype: torch.dtype) -> Iterator[tuple[Any, torch.Tensor]]:
    """(variable, orthogonalised update as out × rest) for each kernel, given as (gradient, variable, momentum buffer).

    Each buffer is multiplied by `momentum`, then the gradient is added to it.
    """
    by_shape: dict[torch.Size, list[tuple[Any, torch.Tensor]]] = {}
    for gradient, variable, buffer in kernels:
        buffer.mul_(momentum).add_(gradient)
        direction = gradient.add(buffer, alpha=momentum) if nesterov else buffer
        matrix = direction.reshape(-1, variable.shape[-1]).T
        by_shape.setdefault(matrix.shape, []).append((variable, matrix))
    for group in by_shape.values():
        batch = orthogonalised(torch.stack([matrix for _, matrix in group]).to(dtype))
        yield from zip((variable for variable, _ in group), batch, strict=True)


class FilterMuon(keras.optimizers.Muon):
    """Keras' Muon, extended to convolution kernels.

    Adam updates vectors and the logits layer. Updates are scaled as in Moonlight (Liu et al. 2025), so that learning
    rates for Adam also work here.
    """

    def __init__(self, *args: Any, dtype: torch.dtype, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dtype = dtype

    def _should_use_adamw(self, variable: Any) -> bool:
        return not is_matrix(variable)

    @torch.no_grad()
    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        rate = float(learning_rate)
        kernels: list[tuple[torch.Tensor, Any, torch.Tensor]] = []
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if is_matrix(variable):
                kernels.append((gradient, variable, self.momentums[self._get_variable_index(variable)].value))
            else:
                self.update_step(gradient, variable, rate)
        for variable, update in updates(kernels, self.momentum, self.nesterov, self._dtype):
            size = rate * self.rms_rate * max(update.shape) ** 0.5
            variable.value.sub_(update.T.reshape(variable.shape), alpha=size)


class NormalizedMuon(keras.optimizers.Optimizer):
    """Muon for kernels of constant norm, and SGD with Nesterov momentum for other variables, as in airbench94.

    Before each update a kernel is scaled to the norm √out, so the learning rate is the relative size of an update.
    This needs batch normalisation after each kernel, and it undoes weight decay except in the logits layer. Vectors
    and the logits layer have their own learning rates, which follow the same schedule. `rates` are (kernels,
    vectors, logits).
    """

    SGD_MOMENTUM = 0.85

    def __init__(self, rates: tuple[float, float, float], momentum: float, weight_decay: float | None = None, *,
                 dtype: torch.dtype) -> None:
        super().__init__(learning_rate=rates[0], weight_decay=weight_decay, name="normalized_muon")
        self._relative = {"vectors": rates[1] / rates[0], "logits": rates[2] / rates[0]}
        self._momentum, self._dtype = momentum, dtype

    def build(self, variables: list[Any]) -> None:
        if not self.built:
            super().build(variables)
            self._momenta = [self.add_variable_from_reference(v, name="momentum") for v in variables]

    @torch.no_grad()
    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        rate = float(learning_rate)
        kernels: list[tuple[torch.Tensor, Any, torch.Tensor]] = []
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            momentum = self._momenta[self._get_variable_index(variable)].value
            if is_matrix(variable):
                kernels.append((gradient, variable, momentum))
            else:
                own = rate * self._relative["logits" if "logits" in variable.path else "vectors"]
                momentum.mul_(self.SGD_MOMENTUM).add_(gradient)
                variable.value.sub_(gradient.add(momentum, alpha=self.SGD_MOMENTUM), alpha=own)
        for variable, update in updates(kernels, self._momentum, True, self._dtype):
            kernel = variable.value
            kernel.mul_(variable.shape[-1] ** 0.5 / kernel.norm())
            kernel.sub_(update.T.reshape(variable.shape), alpha=rate)
