"""Fine-tuning a pretrained backbone: first the logits layer on frozen features, then the last stages or everything.

A phase with a frozen backbone trains on cached features. Its checkpoints hold only the logits layer; the backbone's
weights are loaded again from their source. Training the logits layer first keeps the gradients of its random
weights from damaging the features (Kumar et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.counted import counted
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
    """One phase of the training: on cached features, or of the whole network."""

    section: TrainSection
    cached: bool


def phases(recipe: Recipe) -> list[Phase]:
    """The phases of a recipe: `train.head` if present, then the rest of `[train]`."""
    section, plan = recipe.train, []
    if section.head is not None:
        plan.append(Phase(section.model_copy(update={
            "epochs": section.head.epochs, "learning_rate": section.head.learning_rate,
            "batch_size": section.head.batch_size, "schedule": "constant", "warmup": 0.0, "augment": {},
            "image_scales": [], "early_stopping": _head_early_stopping(section), "plateau": None}), cached=True))
    if recipe.model.options["trainable"] == "none":
        return [*plan, Phase(section.model_copy(update={"augment": {}, "image_scales": []}), cached=True)]
    return [*plan, Phase(section, cached=False)]


def _head_early_stopping(section: TrainSection) -> EarlyStopping | None:
    """The rule that selects the best epoch, with enough patience never to stop the phase of the head."""
    early, head = section.early_stopping, section.head
    return early.model_copy(update={"patience": head.epochs}) if early and head else None


def stages(recipe: Recipe) -> dict[str, int]:
    """Layer name in the recipe's backbone → stage, from 0."""
    return backbone.stages(backbone.sketch(recipe.model.options["backbone"], recipe.model.options["weights"]))


def _description(recipe: Recipe, phase: Phase) -> str:
    """The layers that a phase trains, in words."""
    if phase.cached:
        return "the logits layer on cached features"
    trainable, count = recipe.model.options["trainable"], max(stages(recipe).values()) + 1
    last = count if trainable == "all" else min(int(trainable), count)
    which = f"all {count}" if last == count else f"the last {last} of {count}"
    return f"the logits layer and {which} stages of the backbone"


class FineTuner(engine.Trainer):
    """A trainer that scales the optimizer's update of each backbone stage by a fraction.

    The updates of all optimizers allowed for backbones are proportional to the learning rate. Scaling them therefore
    gives each stage its own learning rate: discriminative fine-tuning (Howard & Ruder 2018).
    """

    def __init__(self, model: Any, optimizer: Any, section: TrainSection, classes: int,
                 class_weights: np.ndarray | None, *, device: str, teacher: engine.Teacher | None,
                 fractions: dict[str, float]) -> None:
        super().__init__(model, optimizer, section, classes, class_weights, device=device, teacher=teacher)
        owner = {id(variable): layer.name for layer in model.layers for variable in layer.trainable_variables}
        self._slow = [(variable.value, fractions[owner[id(variable)]]) for variable in model.trainable_variables
                      if fractions.get(owner[id(variable)], 1.0) < 1]

    def _update(self, gradients: list[Any]) -> None:
        before = [parameter.clone() for parameter, _ in self._slow]
        super()._update(gradients)
        for (parameter, fraction), old in zip(self._slow, before, strict=True):
            parameter.sub_(old).mul_(fraction).add_(old)


def learning_rate_fractions(recipe: Recipe) -> dict[str, float]:
    """Layer name → learning rate as a fraction of the logits layer's: `stage_decay` to the power of its distance.

    The last stage of the backbone has distance 1.
    """
    stage_of = stages(recipe)
    count = max(stage_of.values()) + 1
    return {backbone.PREFIX + name: recipe.train.stage_decay ** (count - stage) for name, stage in stage_of.items()}


def train(
    recipe: Recipe, dataset: Dataset, run: Run, model: Any, class_weights: np.ndarray | None,
    callbacks: Sequence[Any], watcher: Watcher, resume: Snapshot | None, teacher: engine.Teacher | None = None,
) -> Generator[dict[str, float]]:
    """Train the fast network `model` with initial weights in the recipe's phases; yield one record per epoch."""
    weights.initialise(model, recipe.model, watcher)
    cached: features.FeatureSet | None = None
    logits = model.get_layer("logits")
    records, plan = [] if resume is None else list(resume.records), phases(recipe)
    for number, phase in enumerate(plan):
        snapshot = resume if resume is not None and resume.position.phase == number else None
        if resume is not None and resume.position.phase > number:
            continue
        watcher.notice(f"phase {number + 1} of {len(plan)}: {_description(recipe, phase)}, at most "
                       f"{counted(phase.section.epochs, 'epoch')}")
        if phase.cached and cached is None:
            cached = features.dataset_features(feature_network(model), recipe, dataset, watcher)
        phase_features = cached if phase.cached else None
        trained = model if phase_features is None else head(recipe, phase_features, logits, fresh=number == 0)
        machine = configure(phase.section.precision)
        arguments = (phase.section, len(dataset.classes), class_weights)
        trainer = (engine.Trainer(trained, optimizers.make(phase.section), *arguments, teacher=teacher)
                   if phase.cached else
                   FineTuner(trained, optimizers.make(phase.section, machine.dtype), *arguments,
                             device=machine.device, teacher=teacher, fractions=learning_rate_fractions(recipe)))
        earlier = [record for record in records if record["phase"] <= number]
        phase_recipe = recipe.model_copy(update={"train": phase.section})
        loop = Loop(phase_recipe, phase_features or dataset, run, trainer, callbacks, watcher, number, earlier)
        yield from loop.fit(snapshot)
        records = loop.records
        if phase.cached:
            put_head(model, trained.get_weights())


def feature_network(model: Any) -> Any:
    """A network from pixels to features [n, d] that shares its layers with `model`."""
    last = model.get_layer("logits").input
    before = next((layer for layer in model.layers if layer.output is last), None)
    if isinstance(before, keras.layers.Dropout) and not before.name.startswith(backbone.PREFIX):
        last = before.input
    return keras.Model(model.input, last, name="features")


def head(recipe: Recipe, cached: features.FeatureSet, logits: Any, fresh: bool) -> Any:
    """A network from features [n, d] to logits: standardisation by the training images, dropout, logits layer.

    Backbones differ in the scale of their features by orders of magnitude; after standardisation, one learning rate
    suits all. The new logits layer starts from the weights of `logits`. They are copied if `fresh` (still initial),
    otherwise converted, because they were trained for raw features. The network's weights are mean, variance,
    kernel and bias.
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


def for_raw_features(kernel: np.ndarray, bias: np.ndarray, mean: np.ndarray, deviation: np.ndarray,
                ) -> tuple[np.ndarray, np.ndarray]:
    """Convert kernel [d, k] and bias [k] for standardised features into those for raw features."""
    scaled = kernel / deviation[:, None]
    return scaled, bias - mean @ scaled


def put_head(model: Any, kept: Sequence[np.ndarray]) -> None:
    """Copy the weights of a `head` into the logits layer of a network."""
    mean, variance, kernel, bias = (part.astype(np.float64) for part in kept)
    model.get_layer("logits").set_weights(list(for_raw_features(kernel, bias, mean, np.sqrt(variance))))


def put_checkpoint(model: Any, recipe: Recipe, kept: Sequence[np.ndarray], fresh: Callable[[], Any]) -> None:
    """Copy a checkpoint's weights into a network: all weights, or those of a head plus the backbone's initial weights.

    `fresh` builds the fast network from which training started; with model.weights=none, its backbone is random.
    """
    if [part.shape for part in kept] == [tuple(variable.shape) for variable in model.weights]:
        put(model, kept)
    else:
        first = fresh()
        weights.initialise(first, recipe.model)
        put(model, first.get_weights())
        put_head(model, kept)
