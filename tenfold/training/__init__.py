"""Training: `fit` turns a recipe and a prepared data set into the weights of a run, epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.errors import DivergedError, UsageError
from tenfold.models import build
from tenfold.recipe import Recipe, TrainSection
from tenfold.run import Run
from tenfold.training import schedule

if TYPE_CHECKING:
    from tenfold.training.engine import Trainer

Progress = Callable[[int, int, int, float], None]  # epoch, step, steps, loss


def check(recipe: Recipe, dataset: Dataset) -> None:
    """Raise UsageError if the recipe can't be trained on the prepared data set, before anything is written."""
    train, batch_size = len(dataset.train), recipe.train.batch_size
    if batch_size > train:
        raise UsageError(f"train.batch_size: received {batch_size}, and the training split has {train} images; "
                         f"expected at most that: set train.batch_size={min(32, train)}, say")
    _class_weights(recipe.train, dataset)


def fit(
    recipe: Recipe, dataset: Dataset, run: Run, callbacks: Sequence[Any] = (), progress: Progress | None = None
) -> Generator[dict[str, float]]:
    """Train, and yield one record an epoch; the run then holds history, checkpoints and `model.keras`.

    `dataset` is prepared (its splits are final). `callbacks` are `keras.callbacks.Callback`s; the model
    they see is the training network. `progress` is called after every step. Raises DivergedError once
    the loss is not finite; the best (or last) finite weights are kept as `model.keras` then.
    """
    from tenfold.training import engine, optimizers
    from tenfold.training.engine import keras

    check(recipe, dataset)
    machine = engine.prepare(recipe.train.precision)
    with engine.seeded(recipe.train.seed):
        model = build(recipe.model, dataset.shape, len(dataset.classes), fast=True, dtype=machine.dtype_policy)
    trainer = engine.Trainer(model, optimizers.make(recipe.train), recipe.train, len(dataset.classes),
                             _class_weights(recipe.train, dataset))
    model.compile(optimizer=trainer.optimizer)  # for callbacks that look for model.optimizer
    listeners = keras.callbacks.CallbackList(list(callbacks), model=model)
    loop = _Loop(recipe, dataset, run, trainer, listeners, progress)
    loop.save_checkpoint("last", 0)
    try:
        listeners.on_train_begin()
        yield from loop.epochs()
        listeners.on_train_end()
    except (KeyboardInterrupt, DivergedError, GeneratorExit):
        _save_model(run, recipe, dataset)
        raise
    _save_model(run, recipe, dataset)


class _Loop:
    """The epochs of one training."""

    def __init__(self, recipe: Recipe, dataset: Dataset, run: Run, trainer: Trainer, listeners: Any,
                 progress: Progress | None) -> None:
        from tenfold.training.engine import Resident

        self.section, self.batch_size = recipe.train, recipe.evaluate.batch_size
        self.run, self.trainer, self.listeners, self.progress = run, trainer, listeners, progress
        self.train = Resident.of(dataset.train.images, dataset.train.labels)
        held_out = dataset.validation
        self.validation = None if held_out is None else Resident.of(held_out.images, held_out.labels)
        self.steps = -(-len(self.train) // self.section.batch_size)
        self.records: list[dict[str, float]] = []

    def epochs(self) -> Iterator[dict[str, float]]:
        for epoch in range(1, self.section.epochs + 1):
            self.listeners.on_epoch_begin(epoch - 1)
            record = self._epoch(epoch)
            self.records.append(record)
            self.run.write_history(self.records)
            self.save_checkpoint("last", epoch)
            if self._is_best():
                self.save_checkpoint("best", epoch)
            self.listeners.on_epoch_end(epoch - 1, {k: v for k, v in record.items() if k != "epoch"})
            yield record
            early = self.section.early_stopping
            if (early and schedule.stops_early(self.records, early)) or self.trainer.model.stop_training:
                return

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch and validate: its record."""
        from tenfold.training import engine

        optimizer = self.trainer.optimizer
        if self.section.plateau and self.records:
            optimizer.learning_rate = schedule.plateau_learning_rate(
                self.records, self.section.plateau, self.section.learning_rate)
        scheduled = self.section.schedule != "constant" or self.section.warmup > 0
        order = engine.batches(engine.epoch_order(len(self.train), self.section.seed, epoch), self.section.batch_size)
        start = time.perf_counter()
        losses, correct = [], []
        for i, index in enumerate(order):
            if scheduled:
                step = (epoch - 1) * self.steps + i
                optimizer.learning_rate = schedule.learning_rate(self.section, step, self.steps)
            self.listeners.on_train_batch_begin(i)
            seed = engine.derived_seed(self.section.seed, epoch, i + 1)
            loss, hits = self.trainer.step(self.train.images[index], self.train.labels[index], seed)
            value = float(loss)
            self._check_finite(value, epoch, i)
            losses.append(value * len(index))
            correct.append(hits)
            self.listeners.on_train_batch_end(i, {"loss": value})
            if self.progress:
                self.progress(epoch, i + 1, self.steps, value)
        seconds = time.perf_counter() - start
        count = len(self.train)
        record = {
            "epoch": epoch, "seconds": seconds, "images_per_second": count / seconds,
            "learning_rate": float(f"{float(optimizer.learning_rate.numpy()):.7g}"),
            "loss": sum(losses) / count, "accuracy": int(sum(correct)) / count,
        }
        if self.validation is not None:
            self.listeners.on_test_begin()
            record["val_loss"], record["val_accuracy"] = self.trainer.evaluate(self.validation, self.batch_size)
            self.listeners.on_test_end()
        return record

    def _check_finite(self, loss: float, epoch: int, step: int) -> None:
        if not np.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} in step {step + 1} of epoch {epoch}; the last finite weights are kept "
                f"(epoch {epoch - 1}): lower train.learning_rate (now {self.section.learning_rate:g})")

    def _is_best(self) -> bool:
        rule = selection(self.section)
        if rule is None or (self.validation is None and rule[0].startswith("val_")):
            return True
        return schedule.best_epoch(self.records, *rule) == len(self.records) - 1

    def save_checkpoint(self, name: str, epoch: int) -> None:
        from tenfold.training import checkpoint

        checkpoint.save(self.run, name, epoch, self.trainer.model, self.trainer.optimizer)


def selection(section: TrainSection) -> tuple[str, float, int] | None:
    """(monitor, min_delta, first epoch) by which the epoch of `model.keras` is chosen; None: the last epoch.

    Early stopping that restores the best weights chooses by its own rule, else `train.checkpoint` does.
    """
    early = section.early_stopping
    if early is not None and early.restore_best_weights:
        return early.monitor, early.min_delta, early.start_from_epoch
    return None if section.checkpoint is None else (section.checkpoint.monitor, 0.0, 0)


def _class_weights(section: TrainSection, dataset: Dataset) -> np.ndarray | None:
    """Loss weights by label (float [classes]), as Keras' `class_weight` means them."""
    if section.class_weights == "none":
        return None
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    if section.class_weights == "balanced":
        return counts.sum() / (len(counts) * np.maximum(counts, 1))
    if set(section.class_weights) != set(dataset.classes):
        raise UsageError(f"train.class_weights: received weights for {', '.join(section.class_weights)}; "
                         f"expected one for each class: {', '.join(dataset.classes)}")
    return np.array([section.class_weights[name] for name in dataset.classes])


def _save_model(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """Put the best (else the last) weights into the plain twin and write it as `model.keras`."""
    from tenfold import modelfile
    from tenfold.training import checkpoint

    name = "best" if run.has("checkpoints/best.npz") else "last"
    epoch, weights = checkpoint.weights(run, name)
    plain = build(recipe.model, dataset.shape, len(dataset.classes))
    plain.set_weights(weights)
    facts = {"classes": list(dataset.classes), "shape": list(dataset.shape), "epoch": epoch, "recipe": recipe.name}
    run.write("model.keras", lambda path: modelfile.save(plain, path, facts))
