"""[E] The optimizers that a recipe can name, as Keras optimizers."""

from __future__ import annotations

from typing import Any

from tenfold.backend import keras
from tenfold.recipe import TrainSection


class FilterMuon(keras.optimizers.Muon):
    """Keras' Muon for convolution kernels as well: each is orthogonalised as (height × width × in) × out.

    Keller Jordan et al. 2024 flatten the filters the same way. Vectors, and the layer that gives the
    logits, are left to Adam as in the original. Updates are scaled as in Moonlight (Liu et al. 2025), so
    that Adam's learning rates fit.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) not in (2, 4) or "logits" in variable.path

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        return super().zeropower_via_newtonschulz5(keras.ops.reshape(x, (-1, x.shape[-1])), steps)

    def assign_sub(self, variable: Any, value: Any) -> None:
        super().assign_sub(variable, keras.ops.reshape(value, variable.shape))


def make(section: TrainSection) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe. Weight decay is decoupled (Loshchilov & Hutter 2019) and spares vectors."""
    rate, decay = section.learning_rate, section.weight_decay or None
    optimizer: keras.optimizers.Optimizer
    match section.optimizer:
        case "adam":
            optimizer = keras.optimizers.Adam(rate, weight_decay=decay)
        case "adamw":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=section.weight_decay)
        case "sgd":
            optimizer = keras.optimizers.SGD(rate, section.momentum, section.nesterov, weight_decay=decay)
        case "rmsprop":
            optimizer = keras.optimizers.RMSprop(rate, momentum=section.momentum, weight_decay=decay)
        case "muon":
            optimizer = FilterMuon(rate, momentum=section.momentum, nesterov=section.nesterov,
                                   weight_decay=decay, adam_weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
