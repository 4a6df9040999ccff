"""Schedules and decisions, against Keras' callbacks and PyTorch's schedulers on the same records."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tenfold.backend import keras
from tenfold.recipe import EarlyStopping, Plateau, Recipe
from tenfold.training import schedule


class Dummy:
    """What a Keras callback needs of a model."""

    def __init__(self, rate: float = 1e-2) -> None:
        self.optimizer = keras.optimizers.SGD(rate)
        self.stop_training = False
        self.weights_log: list[int] = []

    def get_weights(self) -> list[np.ndarray]:
        return [np.array(len(self.weights_log))]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.restored = int(weights[0])


def curves(seed: int, epochs: int = 30) -> list[dict[str, float]]:
    """A plausible noisy course of training."""
    rng = np.random.default_rng(seed)
    loss = 1 / np.arange(1, epochs + 1) + rng.normal(0, 0.03, epochs) + 0.01 * np.arange(epochs)
    return [{"val_loss": float(v), "val_accuracy": float(1 - v / 2)} for v in loss]


@pytest.mark.parametrize(
    ("seed", "monitor", "patience", "min_delta", "start"),
    [*itertools.product(range(6), ["val_loss", "val_accuracy"], [0, 1, 3], [0.0, 0.02], [0, 4])],
)
def test_early_stopping_stops_where_keras_does(
    seed: int, monitor: str, patience: int, min_delta: float, start: int
) -> None:
    records = curves(seed)
    rule = EarlyStopping(monitor=monitor, patience=patience, min_delta=min_delta, start_from_epoch=start)
    callback = keras.callbacks.EarlyStopping(
        monitor=monitor, patience=patience, min_delta=min_delta, start_from_epoch=start, restore_best_weights=True,
        mode="max" if monitor.endswith("accuracy") else "min")
    model = Dummy()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, record in enumerate(records):
        model.weights_log.append(epoch)
        callback.on_epoch_end(epoch, dict(record))
        ours = schedule.stops_early(records[: epoch + 1], rule)
        assert ours == model.stop_training, f"epoch {epoch}"
        if ours:
            break
    callback.on_train_end()
    best = schedule.best_epoch(records[: epoch + 1], monitor, min_delta, start)
    assert best == callback.best_epoch
    assert model.restored == best + 1


@pytest.mark.parametrize(
    ("seed", "monitor", "patience", "cooldown", "min_lr"),
    [*itertools.product(range(6), ["val_loss", "val_accuracy"], [1, 2, 4], [0, 2], [0.0, 2e-3])],
)
def test_plateau_lowers_the_rate_where_keras_does(
    seed: int, monitor: str, patience: int, cooldown: int, min_lr: float
) -> None:
    records = curves(seed)
    rule = Plateau(monitor=monitor, factor=0.5, patience=patience, cooldown=cooldown, min_lr=min_lr)
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor=monitor, factor=0.5, patience=patience, cooldown=cooldown, min_lr=min_lr,
        mode="max" if monitor.endswith("accuracy") else "min")
    model = Dummy(1e-2)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, record in enumerate(records):
        callback.on_epoch_end(epoch, dict(record))
        ours = schedule.plateau_learning_rate(records[: epoch + 1], rule, 1e-2)
        assert ours == pytest.approx(float(model.optimizer.learning_rate.numpy()), rel=1e-5), f"epoch {epoch}"


def test_schedules_match_keras_in_1600_histories_full_of_ties() -> None:
    """Accuracies of few images and rounded losses: values often differ by exactly `min_delta`, give or take a bit."""
    differences = []
    for seed in range(1600):
        rng = np.random.default_rng(seed)
        images, min_delta, patience = int(rng.choice([10, 30, 120])), float(rng.choice([0, 0.1, 0.05, 1e-3])), 2
        steps = rng.integers(0, 7, 20)
        records = [{"val_loss": 1 - 0.05 * step, "val_accuracy": step / images} for step in steps.tolist()]
        monitor = ("val_loss", "val_accuracy")[seed % 2]
        mode = {"monitor": monitor, "mode": "max" if seed % 2 else "min", "min_delta": min_delta, "patience": patience}
        stopping, plateau = keras.callbacks.EarlyStopping(**mode), keras.callbacks.ReduceLROnPlateau(**mode, factor=0.5)
        model, stopped = Dummy(), False
        for callback in (stopping, plateau):
            callback.set_model(model)
            callback.on_train_begin()
        rules = {"monitor": monitor, "min_delta": min_delta, "patience": patience}
        for epoch, record in enumerate(records):
            for callback in (stopping, plateau):
                callback.on_epoch_end(epoch, dict(record))
            seen = records[: epoch + 1]
            rate = schedule.plateau_learning_rate(seen, Plateau(**rules, factor=0.5, min_lr=0.0), 1e-2)
            stopped = stopped or schedule.stops_early(seen, EarlyStopping(**rules))
            theirs = float(model.optimizer.learning_rate.numpy())
            if stopped != model.stop_training or rate != pytest.approx(theirs, rel=1e-5):
                differences.append((seed, epoch))
        if schedule.best_epoch(seen, monitor, min_delta) != stopping.best_epoch:
            differences.append((seed, "best epoch"))
    assert differences == []


@pytest.mark.parametrize("seed", range(4))
def test_the_best_epoch_is_the_one_that_keras_checkpoint_keeps(seed: int, tmp_path: object) -> None:
    records = curves(seed)
    callback = keras.callbacks.ModelCheckpoint(f"{tmp_path}/x.weights.h5", monitor="val_accuracy", mode="max",
                                               save_best_only=True, save_weights_only=True)
    saved: list[int] = []

    class Model(Dummy):
        _is_graph_network = True

        def save_weights(self, *_: object, **__: object) -> None:
            saved.append(epoch)

    callback.set_model(Model())
    for epoch, record in enumerate(records):
        callback.on_epoch_end(epoch, dict(record))
    assert saved[-1] == schedule.best_epoch(records, "val_accuracy")


def test_one_cycle_matches_pytorch() -> None:
    recipe = Recipe.loads("[train]\nepochs = 4\nschedule = 'one-cycle'\nlearning_rate = 0.5\n")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=400)
    for step in range(400):
        ours = schedule.learning_rate(recipe.train, step, 100)
        # PyTorch ends the rise at step 0.3 × 400 - 1, so the two are a fraction of a step apart.
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=5e-3)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize("name", schedule.SCHEDULES)
def test_a_schedule_peaks_at_the_learning_rate_and_warmup_rises_to_it(name: str) -> None:
    recipe = Recipe.loads(f"[train]\nepochs = 5\nwarmup = 1\nschedule = '{name}'\nlearning_rate = 0.2\n")
    rates = [schedule.learning_rate(recipe.train, step, 20) for step in range(100)]
    assert max(rates) == pytest.approx(0.2, rel=1e-2)
    assert rates[:20] == pytest.approx([0.2 * (i + 1) / 20 for i in range(20)])
    if name != "constant":
        assert rates[-1] < 1e-5


def test_image_scales_are_stretched_over_the_epochs_and_end_with_the_last() -> None:
    def scales(epochs: int, *given: float) -> list[float]:
        section = Recipe.from_dict({"train": {"epochs": epochs, "image_scales": list(given)}}).train
        return [schedule.image_scale(section, epoch) for epoch in range(1, epochs + 1)]

    assert scales(3) == [1] * 3
    assert scales(4, 0.5, 0.75, 0.9, 1) == [0.5, 0.75, 0.9, 1]
    assert scales(5, 0.5, 1) == [0.5, 0.5, 1, 1, 1]
    assert scales(2, 0.5, 0.75, 1) == [0.75, 1]
    assert scales(1, 0.5, 0.75, 1) == [1]
