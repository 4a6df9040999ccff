"""The optimizers that recipes name: their options reach the optimizer that is made."""

from __future__ import annotations

from tenfold.recipe import Recipe
from tenfold.training import optimizers


def test_options_reach_the_optimizer() -> None:
    table = {"name": "sgd", "momentum": 0.8, "nesterov": False, "weight_decay": 0.1}
    made = optimizers.make(Recipe.from_dict({"train": {"optimizer": table, "learning_rate": 0.5}}).train)
    assert (made.momentum, made.nesterov, made.weight_decay, float(made.learning_rate.value)) == (0.8, False, 0.1, 0.5)


def test_the_default_weight_decay_is_none() -> None:
    assert optimizers.make(Recipe.from_dict({}).train).weight_decay is None
