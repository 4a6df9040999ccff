"""The optimizers that a recipe can name, as Keras optimizers."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.adam import adam

from tenfold.backend import keras
from tenfold.recipe import TrainSection
from tenfold.training.muon import FilterMuon, NormalizedMuon

# Variables of the optimizer for each one of the model, at most; logistic-regression is none of Keras' (`probe`).
SLOTS = {"adam": 2, "adamw": 2, "sgd": 1, "rmsprop": 2, "muon": 2, "normalized-muon": 1, "logistic-regression": 0}


def make(section: TrainSection, dtype: torch.dtype = torch.float32) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, for a network that computes in `dtype`.

    Weight decay is decoupled (Loshchilov & Hutter 2019) and spares vectors.
    """
    rate, decay = section.learning_rate, section.weight_decay or None
    optimizer: keras.optimizers.Optimizer
    match section.optimizer:
        case "adam" | "adamw":
            optimizer = FusedAdam(rate, weight_decay=decay)
        case "sgd":
            optimizer = keras.optimizers.SGD(rate, section.momentum, section.nesterov, weight_decay=decay)
        case "rmsprop":
            optimizer = keras.optimizers.RMSprop(rate, momentum=section.momentum, weight_decay=decay)
        case "muon":
            optimizer = FilterMuon(rate, momentum=section.momentum, nesterov=section.nesterov,
                                   weight_decay=decay, adam_weight_decay=decay, dtype=dtype)
        case "normalized-muon":
            rates = (rate, section.vector_learning_rate, section.logits_learning_rate)
            optimizer = NormalizedMuon(rates, section.momentum, decay, dtype=dtype)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


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
