"""[E] Adam, updated by PyTorch's fused kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.adam import adam

from tenfold.backend import keras


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, updated by PyTorch's kernel that goes over everything once; Keras' weight decay is decoupled anyway.

    Keras adds epsilon to the root of the sum of squares before that is corrected for its bias, PyTorch after it.
    """

    @torch.no_grad()
    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        before = float(self.iterations.value)
        places = [self._get_variable_index(variable) for variable in trainable_variables]
        adam([variable.value for variable in trainable_variables], list(grads),
             [self._momentums[i].value for i in places], [self._velocities[i].value for i in places], [],
             [torch.tensor(before, device=gradient.device) for gradient in grads], fused=True, amsgrad=False,
             beta1=self.beta_1, beta2=self.beta_2, lr=float(learning_rate), weight_decay=0.0,
             eps=self.epsilon / (1 - self.beta_2 ** (before + 1)) ** 0.5, maximize=False)
