"""Training on a pretrained backbone: the logits on frozen features first, then the last stages or everything.

A phase with a frozen backbone trains on cached features, and its checkpoints hold the logits alone; the
backbone's weights come from where they came from at the start. To train a head before the rest keeps the
first gradients of random logits from spoiling the features (Kumar et al. 2022).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.models import backbone, weights
from tenfold.models.layers import Layers, keras
from tenfold.recipe import Recipe, TrainSection
from tenfold.run import Run
from tenfold.training import engine, features, optimizers
from tenfold.training.loop import Hooks, Loop

if TYPE_CHECKING:
    from tenfold.training.checkpoint import Snapshot


@dataclass(frozen=True)
class Phase:
    """One of the trainings that follow each other: on cached features, or of the whole network."""

    section: TrainSection
    cached: bool


def phases(recipe: Recipe) -> list[Phase]:
    """The phases of a recipe: `train.head` if it is there, then the rest of `[train]`."""
    section, found = recipe.train, []
    if section.head is not None:
        found.append(Phase(section.model_copy(update={
            "epochs": section.head.epochs, "learning_rate": section.head.learning_rate,
            "batch_size": section.head.batch_size, "schedule": "constant", "warmup": 0.0, "augment": {},
            "image_sizes": [], "early_stopping": None, "plateau": None}), cached=True))
    if recipe.model.options["trainable"] == "none":
        return [*found, Phase(section.model_copy(update={"augment": {}, "image_sizes": []}), cached=True)]
    return [*found, Phase(section, cached=False)]


class FineTuner(engine.Trainer):
    """A trainer that moves each stage of the backbone by a share of what the optimizer would.

    Updates of all the optimizers that backbones can have are proportional to the learning rate, so this is
    a learning rate of its own for each stage (Howard & Ruder 2018, discriminative fine-tuning).
    """

    def __init__(self, model: Any, optimizer: Any, section: TrainSection, classes: int,
                 class_weights: np.ndarray | None, shares: dict[str, float]) -> None:
        super().__init__(model, optimizer, section, classes, class_weights)
        owner = {id(variable): layer.name for layer in model.layers for variable in layer.trainable_variables}
        self._slow = [(variable.value, shares[owner[id(variable)]]) for variable in model.trainable_variables
                      if shares.get(owner[id(variable)], 1.0) < 1]

    def _update(self, gradients: list[Any]) -> None:
        before = [parameter.clone() for parameter, _ in self._slow]
        super()._update(gradients)
        for (parameter, share), old in zip(self._slow, before, strict=True):
            parameter.sub_(old).mul_(share).add_(old)


def shares(recipe: Recipe) -> dict[str, float]:
    """Layer name → learning rate as a share of that of the logits: `stage_decay` once for each stage behind them."""
    of = backbone.stages(backbone.sketch(recipe.model.options["backbone"]))
    count = max(of.values()) + 1
    return {backbone.PREFIX + name: recipe.train.stage_decay ** (count - stage) for name, stage in of.items()}


def train(
    recipe: Recipe, dataset: Dataset, run: Run, model: Any, class_weights: np.ndarray | None, hooks: Hooks,
    resume: Snapshot | None,
) -> Generator[dict[str, float]]:
    """Train the fast network `model`, fresh from `build`, in the recipe's phases; one record an epoch."""
    weights.initialise(model, recipe.model, hooks.log)
    cached: features.FeatureSet | None = None
    logits = model.get_layer("logits")
    records = [] if resume is None else list(resume.records)
    for number, phase in enumerate(phases(recipe)):
        snapshot = resume if resume is not None and resume.position.phase == number else None
        if resume is not None and resume.position.phase > number:
            continue
        if phase.cached and cached is None:
            cached = features.of_dataset(feature_network(model), recipe, dataset, hooks)
        trained = head(recipe, logits) if phase.cached else model
        optimizer = (optimizers.make(phase.section) if phase.cached else
                     optimizers.make(phase.section, engine.prepare(phase.section.precision).dtype))
        arguments = (trained, optimizer, phase.section, len(dataset.classes), class_weights)
        trainer = engine.Trainer(*arguments) if phase.cached else FineTuner(*arguments, shares(recipe))
        earlier = [record for record in records if record["phase"] <= number]
        images = cached if phase.cached else dataset
        of_phase = recipe.model_copy(update={"train": phase.section})
        loop = Loop(of_phase, images, run, trainer, hooks, number, earlier)
        yield from loop.fit(snapshot)
        records = loop.records
        if phase.cached:
            logits.set_weights(trained.get_layer("logits").get_weights())


def feature_network(model: Any) -> Any:
    """A network from pixels to features [n, d], which shares the layers of `model`."""
    last = model.get_layer("logits").input
    before = next((layer for layer in model.layers if layer.output is last), None)
    if isinstance(before, keras.layers.Dropout) and not before.name.startswith(backbone.PREFIX):
        last = before.input
    return keras.Model(model.input, last, name="features")


def head(recipe: Recipe, logits: Any) -> Any:
    """Dropout and logits on features, with the weights that `logits` has now."""
    layers, rate = Layers(fast=True), recipe.model.options["dropout"]
    inputs = x = keras.Input((logits.kernel.shape[0],), name="features")
    x = layers.dropout(rate)(x) if rate else x
    model = keras.Model(inputs, layers.logits(logits.kernel.shape[1])(x), name="head")
    model.get_layer("logits").set_weights(logits.get_weights())
    return model


def put(model: Any, recipe: Recipe, kept: Sequence[np.ndarray]) -> None:
    """Put a checkpoint's weights into a network: all of them, or the logits alone on the backbone's own."""
    if len(kept) == len(model.get_weights()) and len(kept) > 2:
        model.set_weights(list(kept))
    else:
        weights.initialise(model, recipe.model)
        model.get_layer("logits").set_weights(list(kept))
