"""The training loop: steps, records of epochs, checkpoints and stopping."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tenfold.errors import DivergedError
from tenfold.progress import SILENT, Advance, Step, Watcher
from tenfold.recipe import Recipe, TrainSection
from tenfold.run import Run
from tenfold.training import checkpoint, engine, schedule
from tenfold.training.checkpoint import Position, Snapshot
from tenfold.training.loader import Loader


class Stopped(Exception):  # noqa: N818  (a request of the user, not an error)
    """The training stopped on request, after it wrote a checkpoint to resume from."""


class Loop:
    """Trains one phase of a run, from the start or from a snapshot."""

    def __init__(self, recipe: Recipe, dataset: Any, run: Run, trainer: engine.Trainer,
                 callbacks: Sequence[Any] = (), watcher: Watcher = SILENT, phase: int | None = None,
                 before: Sequence[dict[str, float]] = ()) -> None:
        """`dataset` is a Dataset or FeatureSet, `phase` the phase number (from 0), `before` the earlier records."""
        self.section, self.batch_size = recipe.train, recipe.evaluate.batch_size
        self.run, self.trainer, self.watcher = run, trainer, watcher
        trainer.model.compile(optimizer=trainer.optimizer)  # for callbacks that read model.optimizer
        self.listeners = engine.keras.callbacks.CallbackList(list(callbacks), model=trainer.model)
        self.train = Loader(dataset.train.images, dataset.train.labels, trainer.device)
        held_out = dataset.validation
        self.validation = None if held_out is None else Loader(held_out.images, held_out.labels, trainer.device)
        self.steps = -(-len(self.train) // self.section.batch_size)
        self.phase, self.earlier_epochs = phase, len(before)
        self.records: list[dict[str, float]] = list(before)
        self.position = Position(self.earlier_epochs, phase=phase or 0)

    _saved = 0.0
    _scale: float | None = None  # of the images of the last epoch

    def fit(self, snapshot: Snapshot | None) -> Iterator[dict[str, float]]:
        """Train to the end, from a snapshot if there is one; yield one record per epoch."""
        self._start(snapshot)
        self.listeners.on_train_begin()
        yield from self._epochs()
        self.listeners.on_train_end()

    def _start(self, snapshot: Snapshot | None) -> None:
        """Restore a snapshot, or save the initial weights as the first checkpoint."""
        if snapshot is None:
            self.trainer.adapt(self.train)
            self._save("last")
            return
        snapshot.restore(self.trainer.model, self.trainer.optimizer)
        self.records, self.position = list(snapshot.records), snapshot.position
        self.run.write_history(self.records)

    def _epochs(self) -> Iterator[dict[str, float]]:
        while not self._is_finished():
            epoch = self.position.epoch + 1
            self.listeners.on_epoch_begin(epoch - 1)
            record = self._epoch(epoch)
            self.records.append(record)
            self.position = Position(epoch, phase=self.position.phase)
            self.run.write_history(self.records)
            self.listeners.on_epoch_end(epoch - 1, {k: v for k, v in record.items() if k != "epoch"})
            # Save best before last: after a kill in between, the epoch is trained again and gives the same bits.
            if self._is_best():
                self._save("best")
            self._save("last")
            yield record
            if self.trainer.model.stop_training:
                return

    def _is_finished(self) -> bool:
        early = self.section.early_stopping
        records = self.records[self.earlier_epochs:]
        return (len(records) >= self.section.epochs
                or (early is not None and schedule.stops_early(records, early)))

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train the remaining steps of an epoch, validate, and return its record."""
        optimizer, section = self.trainer.optimizer, self.section
        self._tell_scale(epoch)
        if section.plateau and self.records[self.earlier_epochs:]:
            optimizer.learning_rate = schedule.plateau_learning_rate(
                self.records[self.earlier_epochs:], section.plateau, section.learning_rate)
        order = engine.batches(engine.epoch_order(len(self.train), section.seed, epoch), section.batch_size)
        for i in range(self.position.step, len(order)):
            self._step(epoch, i, order[i])
        done, count = self.position, len(self.train)
        record = {
            "epoch": epoch, "seconds": done.seconds, "images_per_second": count / done.seconds,
            "learning_rate": float(f"{float(optimizer.learning_rate.numpy()):.7g}"),
            "loss": done.loss / count, "accuracy": done.correct / count,
        }
        if self.validation is not None:
            self.listeners.on_test_begin()
            record["val_loss"], record["val_accuracy"] = self.trainer.evaluate(
                self.validation, self.batch_size, before=self._validating)
            self.watcher.on(Advance("validate", len(self.validation), len(self.validation), "images"))
            self.listeners.on_test_end()
            if not np.isfinite(record["val_loss"]):
                raise self._diverged(f"validation loss became {record['val_loss']}")
        return record if self.phase is None else record | {"phase": self.phase + 1}

    def _tell_scale(self, epoch: int) -> None:
        """Tell at which size an epoch trains, if its images are smaller or larger than those before."""
        before, self._scale = self._scale, schedule.image_scale(self.section, epoch - self.earlier_epochs)
        if self.section.image_scales and self._scale != before:
            self.watcher.notice(f"epoch {epoch}: images at {self._scale:g} of the full size")

    def _step(self, epoch: int, i: int, index: Any) -> None:
        """Train one step and update the position; save a checkpoint when it is due or a stop is requested."""
        section, started = self.section, time.perf_counter()
        if section.schedule != "constant" or section.warmup > 0:
            self.trainer.optimizer.learning_rate = schedule.learning_rate(
                section, (epoch - 1 - self.earlier_epochs) * self.steps + i, self.steps)
        self.listeners.on_train_batch_begin(i)
        seed = engine.derived_seed(section.seed, epoch, i + 1)
        scale = schedule.image_scale(section, epoch - self.earlier_epochs)
        loss, hits = self.trainer.step(self.train, index, seed, epoch, scale)
        value = float(loss)
        before = self.position
        self.position = Position(
            before.epoch, i + 1, before.loss + value * len(index), before.correct + int(hits),
            before.seconds + time.perf_counter() - started, before.phase)
        if not np.isfinite(value):
            raise self._diverged(f"loss became {value}")
        self.listeners.on_train_batch_end(i, {"loss": value})
        self.watcher.on(Step(epoch, i + 1, self.steps, value))
        self._stop_if_requested()
        if time.monotonic() - self._saved > 60 * section.checkpoint_minutes:
            self._save("last")

    def _validating(self, done: int) -> None:
        """Report `done` validation images, and stop if requested."""
        assert self.validation is not None
        self.watcher.on(Advance("validate", done, len(self.validation), "images"))
        self._stop_if_requested()

    def _stop_if_requested(self) -> None:
        if self.watcher.stop():
            self._save("last")
            raise Stopped

    def _is_best(self) -> bool:
        rule = selection(self.section)
        if rule is None or (self.validation is None and rule[0].startswith("val_")):
            return True
        return schedule.best_epoch(self.records, *rule) == len(self.records) - 1

    def _save(self, kind: str) -> None:
        """Write a checkpoint. Raises DivergedError instead if the weights are not finite."""
        snapshot = Snapshot.of(self.position, self.records, self.trainer.model, self.trainer.optimizer)
        if not all(np.isfinite(values).all() for values in snapshot.weights):
            raise self._diverged("weights became infinite or NaN")
        checkpoint.save(self.run, kind, snapshot)
        self._saved = time.monotonic()

    def _diverged(self, what: str) -> DivergedError:
        """The error for a loss or weights that are not finite; it names the last step."""
        done, steps = self.position, self.steps
        epoch, step = (done.epoch + 1, done.step) if done.step else (done.epoch, steps)
        return DivergedError(
            f"the {what} in step {step} of epoch {epoch}; the last finite weights are kept (epoch {epoch - 1}): "
            f"lower train.learning_rate (now {self.section.learning_rate:g})", epoch, step)


def selection(section: TrainSection) -> tuple[str, float, int] | None:
    """(monitor, min_delta, first epoch) of the rule that selects the epoch of `model.keras`; None selects the last.

    Early stopping with `restore_best_weights` sets the rule, otherwise `train.checkpoint` does.
    """
    early = section.early_stopping
    if early is not None and early.restore_best_weights:
        return early.monitor, early.min_delta, early.start_from_epoch
    return None if section.checkpoint is None else (section.checkpoint.monitor, 0.0, 0)
