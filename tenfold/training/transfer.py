"""Training on a pretrained backbone: the logits on frozen features first, then the last stages or everything.

A phase with a frozen backbone trains on cached features, and its checkpoints hold the logits alone; the
backbone's weights come from where they came from at the start. To train a head before the rest keeps the
first gradients of random logits from spoiling the features (Kumar et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.machine import configure
from tenfold.models import backbone, weights
from tenfold.models.layers import Layers, keras, put
from tenfold.progress import Watcher
from tenfold.recipe import EarlyStopping, Recipe, TrainSection
from tenfold.run import Run
from tenfold.training import engine, features, optimizers
from tenfold.training.loop import Loop

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
            "image_scales": [], "early_stopping": _patient(section), "plateau": None}), cached=True))
    if recipe.model.options["trainable"] == "none":
        return [*found, Phase(section.model_copy(update={"augment": {}, "image_scales": []}), cached=True)]
    return [*found, Phase(section, cached=False)]


def _patient(section: TrainSection) -> EarlyStopping | None:
    """The rule that chooses the best epoch of all phases, so patient that it does not end the first."""
    early, head = section.early_stopping, section.head
    return early.model_copy(update={"patience": head.epochs}) if early and head else None


def stages(recipe: Recipe) -> dict[str, int]:
    """Layer of the recipe's backbone → its stage, from 0."""
    return backbone.stages(backbone.sketch(recipe.model.options["backbone"], recipe.model.options["weights"]))


def _trained(recipe: Recipe, phase: Phase) -> str:
    """What a phase trains, in words."""
    if phase.cached:
        return "the logits on cached features"
    asked, count = recipe.model.options["trainable"], max(stages(recipe).values()) + 1
    last = count if asked == "all" else min(int(asked), count)
    return f"the logits and {f'all {count}' if last == count else f'the last {last} of {count}'} stages of the backbone"


class FineTuner(engine.Trainer):
    """A trainer that moves each stage of the backbone by a fraction of what the optimizer would.

    Updates of all the optimizers that backbones can have are proportional to the learning rate, so this is
    a learning rate of its own for each stage (Howard & Ruder 2018, discriminative fine-tuning).
    """

    def __init__(self, model: Any, optimizer: Any, section: TrainSection, classes: int,
                 class_weights: np.ndarray | None, *, device: str, shares: dict[str, float]) -> None:
        super().__init__(model, optimizer, section, classes, class_weights, device=device)
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
    of = stages(recipe)
    count = max(of.values()) + 1
    return {backbone.PREFIX + name: recipe.train.stage_decay ** (count - stage) for name, stage in of.items()}


def train(
    recipe: Recipe, dataset: Dataset, run: Run, model: Any, class_weights: np.ndarray | None,
    callbacks: Sequence[Any], watcher: Watcher, resume: Snapshot | None,
) -> Generator[dict[str, float]]:
    """Train the fast network `model`, fresh from `build`, in the recipe's phases; one record an epoch."""
    weights.initialise(model, recipe.model, watcher)
    cached: features.FeatureSet | None = None
    logits = model.get_layer("logits")
    records, plan = [] if resume is None else list(resume.records), phases(recipe)
    for number, phase in enumerate(plan):
        snapshot = resume if resume is not None and resume.position.phase == number else None
        if resume is not None and resume.position.phase > number:
            continue
        watcher.notice(f"phase {number + 1} of {len(plan)}: {_trained(recipe, phase)}, at most "
                  f"{phase.section.epochs:,} epochs")
        if phase.cached and cached is None:
            cached = features.of_dataset(feature_network(model), recipe, dataset, watcher)
        kept = cached if phase.cached else None
        trained = model if kept is None else head(recipe, kept, logits, fresh=number == 0)
        machine = configure(phase.section.precision)
        arguments = (phase.section, len(dataset.classes), class_weights)
        trainer = (engine.Trainer(trained, optimizers.make(phase.section), *arguments) if phase.cached else
                   FineTuner(trained, optimizers.make(phase.section, machine.dtype), *arguments,
                             device=machine.device, shares=shares(recipe)))
        earlier = [record for record in records if record["phase"] <= number]
        of_phase = recipe.model_copy(update={"train": phase.section})
        loop = Loop(of_phase, kept or dataset, run, trainer, callbacks, watcher, number, earlier)
        yield from loop.fit(snapshot)
        records = loop.records
        if phase.cached:
            put_head(model, trained.get_weights())


def feature_network(model: Any) -> Any:
    """A network from pixels to features [n, d], which shares the layers of `model`."""
    last = model.get_layer("logits").input
    before = next((layer for layer in model.layers if layer.output is last), None)
    if isinstance(before, keras.layers.Dropout) and not before.name.startswith(backbone.PREFIX):
        last = before.input
    return keras.Model(model.input, last, name="features")


def head(recipe: Recipe, cached: features.FeatureSet, logits: Any, fresh: bool) -> Any:
    """Features standardised as those of the training images are, dropout, logits: a network on features [n, d].

    Backbones differ in the scale of their features by orders of magnitude; standardised, one learning rate suits
    all. The logits begin with the weights of the layer `logits`, which are taken as they are where they are
    `fresh`, else they are of features as they are. Its weights: mean, variance, kernel, bias.
    """
    layers, rate, scaler = Layers(fast=True), recipe.model.options["dropout"], cached.train.scaler()
    standardise = keras.layers.BatchNormalization(epsilon=0.0, center=False, scale=False, trainable=False)
    inputs = x = keras.Input((logits.kernel.shape[0],), name="features")
    x = standardise(x)
    x = layers.dropout(rate)(x) if rate else x
    model = keras.Model(inputs, layers.logits(logits.kernel.shape[1])(x), name="head")
    standardise.set_weights([scaler.mean_, scaler.scale_**2])
    kernel, bias = logits.get_weights()
    if not fresh:
        kernel, bias = kernel * scaler.scale_[:, None], bias + scaler.mean_ @ kernel
    model.get_layer("logits").set_weights([kernel, bias])
    return model


def on_features(kernel: np.ndarray, bias: np.ndarray, mean: np.ndarray, deviation: np.ndarray,
                ) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [d, k] and bias [k] for features as they are, of those for standardised features."""
    scaled = kernel / deviation[:, None]
    return scaled, bias - mean @ scaled


def put_head(model: Any, kept: Sequence[np.ndarray]) -> None:
    """Put the weights of a `head` into the logits of a network."""
    mean, variance, kernel, bias = (part.astype(np.float64) for part in kept)
    model.get_layer("logits").set_weights(list(on_features(kernel, bias, mean, np.sqrt(variance))))


def put_kept(model: Any, recipe: Recipe, kept: Sequence[np.ndarray], fresh: Callable[[], Any]) -> None:
    """Put a checkpoint's weights into a network: all of them, or those of a head on the backbone's own.

    `fresh` makes the fast network that the training began with: without published weights, its backbone is random.
    """
    if [part.shape for part in kept] == [tuple(variable.shape) for variable in model.weights]:
        put(model, kept)
    else:
        first = fresh()
        weights.initialise(first, recipe.model)
        put(model, first.get_weights())
        put_head(model, kept)
