"""Adam, updated by PyTorch's fused kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.adam import adam

from tenfold.backend import keras


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with the update done by PyTorch's fused kernel in one pass; Keras applies the decoupled weight decay.

    Keras adds epsilon to the root of the second moment before bias correction, PyTorch after it; `eps` is converted.
    """

    @torch.no_grad()
    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        steps = float(self.iterations.value)
        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        adam([variable.value for variable in trainable_variables], list(grads),
             [self._momentums[i].value for i in indices], [self._velocities[i].value for i in indices], [],
             list(torch.full((len(grads),), steps, device=grads[0].device).unbind()), fused=True, amsgrad=False,
             beta1=self.beta_1, beta2=self.beta_2, lr=float(learning_rate), weight_decay=0.0,
             eps=self.epsilon / (1 - self.beta_2 ** (steps + 1)) ** 0.5, maximize=False)
