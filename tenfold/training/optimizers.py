"""The optimizers of recipes, each a function that registers itself.

A function takes the learning rate and the dtype in which the network computes, and returns a Keras optimizer. Its
keyword-only parameters are its options in a recipe (`[train.optimizer]`). Keras is imported inside the functions,
so that recipes can be validated without it. Weight decay is decoupled (Loshchilov & Hutter 2019) and does not
apply to vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from tenfold.recipe import OptimizerSection, TrainSection
from tenfold.registry import OPTIMIZERS

if TYPE_CHECKING:
    import torch

    from tenfold.backend import keras

Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]
LearningRate = Annotated[float, Field(gt=0)]

MakesOptimizer = TypeVar("MakesOptimizer", bound=Callable)


def keeps(slots: int) -> Callable[[MakesOptimizer], MakesOptimizer]:
    """Decorator: the maximum number of variables that the optimizer keeps per variable of the model."""

    def declare(function: MakesOptimizer) -> MakesOptimizer:
        function.slots = slots  # type: ignore[attr-defined]
        return function

    return declare


def slots(section: OptimizerSection) -> int:
    """The maximum number of variables that an optimizer keeps per variable of the model. Raises UnknownNameError."""
    return OPTIMIZERS.get(section.name).slots  # type: ignore[attr-defined]


def make(section: TrainSection, dtype: torch.dtype | None = None) -> keras.optimizers.Optimizer:
    """Create the optimizer of a recipe for a network that computes in `dtype` (default: float32)."""
    import torch

    function = OPTIMIZERS.get(section.optimizer.name)
    optimizer = function(section.learning_rate, dtype or torch.float32, **section.optimizer.options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@OPTIMIZERS.add("adamw")
@OPTIMIZERS.add("adam")
@keeps(slots=2)
def adam(learning_rate: float, dtype: torch.dtype, *, weight_decay: Decay = 0.0) -> keras.optimizers.Optimizer:
    """Adam (Kingma & Ba 2015) with decoupled `weight_decay` on kernels; `adam` and `adamw` are the same."""
    from tenfold.training.adam import FusedAdam

    return FusedAdam(learning_rate, weight_decay=weight_decay or None)


@OPTIMIZERS.add("sgd")
@keeps(slots=1)
def sgd(learning_rate: float, dtype: torch.dtype, *, momentum: Momentum = 0.9, nesterov: bool = True,
        weight_decay: Decay = 0.0) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with `momentum`, optionally `nesterov`; `weight_decay` applies to kernels."""
    from tenfold.backend import keras

    return keras.optimizers.SGD(learning_rate, momentum, nesterov, weight_decay=weight_decay or None)


@OPTIMIZERS.add("rmsprop")
@keeps(slots=2)
def rmsprop(learning_rate: float, dtype: torch.dtype, *, momentum: Momentum = 0.9,
            weight_decay: Decay = 0.0) -> keras.optimizers.Optimizer:
    """RMSprop (Hinton 2012) with `momentum`; `weight_decay` applies to kernels."""
    from tenfold.backend import keras

    return keras.optimizers.RMSprop(learning_rate, momentum=momentum, weight_decay=weight_decay or None)


@OPTIMIZERS.add("muon")
@keeps(slots=2)
def muon(learning_rate: float, dtype: torch.dtype, *, momentum: Momentum = 0.9, nesterov: bool = True,
         weight_decay: Decay = 0.0) -> keras.optimizers.Optimizer:
    """Muon (Jordan et al. 2024) for kernels; Adam for vectors and the logits, at the same learning rate.

    Updates are scaled so that learning rates for Adam also work for Muon. `weight_decay` applies to kernels.
    """
    from tenfold.training.muon import FilterMuon

    decay = weight_decay or None
    return FilterMuon(learning_rate, momentum=momentum, nesterov=nesterov, weight_decay=decay,
                      adam_weight_decay=decay, dtype=dtype)


@OPTIMIZERS.add("normalized-muon")
@keeps(slots=1)
def normalized_muon(learning_rate: float, dtype: torch.dtype, *, momentum: Momentum = 0.9,
                    vector_learning_rate: LearningRate = 1.0, logits_learning_rate: LearningRate = 1.0,
                    weight_decay: Decay = 0.0) -> keras.optimizers.Optimizer:
    """Muon with kernels of constant norm, as in airbench94; SGD with Nesterov momentum for other variables.

    `train.learning_rate` applies to kernels, `vector_learning_rate` to vectors (biases), `logits_learning_rate` to the
    last layer; all follow the schedule. `weight_decay` affects only the kernel of the last layer, because other
    kernels keep their norm.
    """
    from tenfold.training.muon import NormalizedMuon

    rates = (learning_rate, vector_learning_rate, logits_learning_rate)
    return NormalizedMuon(rates, momentum, weight_decay or None, dtype=dtype)
