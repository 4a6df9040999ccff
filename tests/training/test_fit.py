"""`fit`: records, selection, determinism, callbacks, divergence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from watchers import Listen, sizes_inside

from tenfold.backend import keras
from tenfold.data import Dataset, open_dataset
from tenfold.data.splits import prepare
from tenfold.errors import DivergedError, UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.training import check, checkpoint, fit, schedule


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_dataset("digits")


def trained(
    tmp_path: Path, digits: Dataset, overrides: dict[str, Any] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> tuple[Run, list[dict[str, float]]]:
    recipe = Recipe.from_dict({
        "data": {"source": "digits", "train_size": 400},
        "model": {"name": "cnn", "filters": [8, 16], "dense": [16], "dropout": 0.1, "norm": "batch"},
        "train": {"epochs": 3, "batch_size": 64, "augment": {"translate": {"pixels": 1}}},
    }).replace(overrides or {})
    run = Run.create(tmp_path, "x")
    run.write_recipe(recipe)
    run.write_status(State.RUNNING)
    return run, list(fit(recipe, prepare(digits, recipe.data), run, callbacks))


def fingerprint(run: Run) -> str:
    return hashlib.sha256(b"".join(w.tobytes() for w in run.model().get_weights())).hexdigest()


def test_each_epoch_has_one_complete_record(tmp_path: Path, digits: Dataset) -> None:
    run, records = trained(tmp_path, digits)
    assert [r["epoch"] for r in records] == [1, 2, 3]
    assert set(records[0]) == {"epoch", "seconds", "images_per_second", "learning_rate", "loss", "accuracy", "val_loss",
                               "val_accuracy"}
    assert run.history() == [pytest.approx(r) for r in records]
    assert records[-1]["val_loss"] < records[0]["val_loss"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tmp_path: Path, digits: Dataset, precision: str
) -> None:
    again = [fingerprint(trained(tmp_path, digits, {"train.precision": precision})[0]) for _ in range(2)]
    other = fingerprint(trained(tmp_path, digits, {"train.precision": precision, "train.seed": 1})[0])
    assert again[0] == again[1] != other


def test_bfloat16_learns_as_float32_does(tmp_path: Path, digits: Dataset) -> None:
    final = {}
    for precision in ("float32", "bfloat16"):
        runs = [trained(tmp_path, digits, {"train.precision": precision, "train.seed": seed, "train.epochs": 8,
                        "data.train_size": "none", "data.calibration": 0, "train.learning_rate": 4e-3})
                for seed in range(3)]
        final[precision] = np.mean([records[-1]["val_accuracy"] for _, records in runs])
    assert abs(final["float32"] - final["bfloat16"]) < 0.05
    assert final["bfloat16"] > 0.85


def test_the_saved_model_is_from_the_best_epoch(tmp_path: Path, digits: Dataset) -> None:
    run, records = trained(tmp_path, digits, {"train.epochs": 6, "train.learning_rate": 0.02})
    best = schedule.best_epoch(records, "val_accuracy")
    kept = checkpoint.load(run, "best")
    assert best is not None
    assert kept.position.epoch == best + 1
    assert all(np.array_equal(a, b) for a, b in zip(run.model().get_weights(), kept.weights, strict=True))
    data = prepare(digits, run.recipe().data)
    assert data.validation is not None
    predicted = run.model().predict(np.asarray(data.validation.images), verbose=0).argmax(1)
    # bfloat16 while training, float32 in the file: a borderline image may fall on the other side
    assert (predicted == data.validation.labels).mean() == pytest.approx(records[best]["val_accuracy"], abs=0.02)


def test_without_a_validation_split_the_last_epoch_is_kept(tmp_path: Path, digits: Dataset) -> None:
    run, records = trained(tmp_path, digits, {"data.validation": 0})
    assert "val_loss" not in records[-1]
    assert checkpoint.load(run, "best").position.epoch == 3


def test_early_stopping_ends_the_training(tmp_path: Path, digits: Dataset) -> None:
    _, records = trained(tmp_path, digits, {"train.epochs": 40, "train.learning_rate": 0.05,
                                            "train.early_stopping.patience": 1})
    assert len(records) < 40
    assert schedule.best_epoch(records, "val_loss") == len(records) - 2


def test_plateau_lowers_the_recorded_rate(tmp_path: Path, digits: Dataset) -> None:
    _, records = trained(tmp_path, digits, {"train.epochs": 6, "train.plateau.patience": 1,
                                            "train.plateau.min_delta": 9, "train.plateau.factor": 0.5})
    assert [r["learning_rate"] for r in records] == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4, 6.25e-5])


def test_keras_callbacks_are_called_and_can_stop_training(tmp_path: Path, digits: Dataset) -> None:
    seen: list[str] = []

    class Spy(keras.callbacks.Callback):
        def on_train_begin(self, logs: object = None) -> None:
            seen.append("train")

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            assert logs is not None
            seen.append(f"epoch {epoch} {sorted(logs)[:2]}")

        def on_train_end(self, logs: object = None) -> None:
            seen.append("end")

    early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=9.0)
    rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.002 if epoch else rate)
    _, records = trained(tmp_path, digits, {"train.epochs": 9}, callbacks=(Spy(), early, rate))
    assert seen == ["train", "epoch 0 ['accuracy', 'images_per_second']", "epoch 1 ['accuracy', 'images_per_second']",
                    "end"]
    assert [r["learning_rate"] for r in records] == pytest.approx([0.001, 0.002])


def test_a_loss_that_is_not_finite_stops_and_keeps_finite_weights(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(DivergedError, match=r"epoch 1.*lower train\.learning_rate") as caught:
        trained(tmp_path, digits, {"train.optimizer": "sgd", "train.learning_rate": 1e30, "model.norm": "none"})
    assert "\n" not in str(caught.value)
    run = Run.open(next(tmp_path.iterdir()))
    assert all(np.isfinite(w).all() for w in run.model().get_weights())


def test_weights_that_become_infinite_in_the_last_step_are_not_kept(tmp_path: Path, digits: Dataset) -> None:
    """The loss of that step was finite still."""

    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if batch == 6:  # the last of seven steps
                kernel = self.model.trainable_variables[0]
                kernel.assign(np.full(kernel.shape, np.inf))

    with pytest.raises(DivergedError, match=r"in step 7 of epoch 1; .*\(epoch 0\)") as caught:
        trained(tmp_path, digits, {"data.validation": 0}, callbacks=(Break(),))
    assert (caught.value.epoch, caught.value.step) == (1, 7)
    run = Run.open(next(tmp_path.iterdir()))
    assert checkpoint.load(run, "last").position.epoch == 0
    assert all(np.isfinite(w).all() for w in run.model().get_weights())


def test_checkpoints_are_written_within_a_long_epoch(tmp_path: Path, digits: Dataset) -> None:
    seen = set()

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            position = checkpoint.load(Run.open(next(tmp_path.iterdir())), "last").position
            seen.add((position.epoch, position.step))

    trained(tmp_path, digits, {"train.epochs": 1, "train.checkpoint_minutes": 1e-9}, callbacks=(Look(),))
    assert seen == {(0, step) for step in range(7)}


def test_a_batch_larger_than_the_split_is_the_whole_split(tmp_path: Path, digits: Dataset) -> None:
    recipe = Recipe.from_dict({"data": {"train_size": 400}, "model": {"name": "mlp", "hidden": [8]},
                               "train": {"epochs": 2, "batch_size": 500}})
    few = prepare(digits, recipe.data)
    check(recipe, few, listen := Listen())
    assert any("is 500, but there are only 400 training images" in line for line in listen.said)
    records = [list(fit(recipe.replace({"train.batch_size": size}), few, Run.create(tmp_path, "x")))
               for size in (500, 400)]
    assert [record["loss"] for record in records[0]] == [record["loss"] for record in records[1]]


@pytest.mark.parametrize(("changes", "words"), [
    ({"train.augment.cutout.pixels": 8}, "train.augment.cutout.pixels is 8, but images are 8 pixels wide"),
    ({"train.batch_size": 1, "model.norm": "batch"}, "train.batch_size is 1, but the network has batch normalisation"),
])
def test_settings_that_are_probably_unintended_give_a_warning(
    changes: dict[str, object], words: str, tmp_path: Path, digits: Dataset
) -> None:
    recipe = Recipe.from_dict({"model": {"name": "cnn", "filters": [4], "dense": [8]}, "train": {"epochs": 1}})
    recipe, listen = recipe.replace(changes), Listen()
    check(recipe, digits, listen)
    next(fit(recipe, digits, Run.create(tmp_path, "x"), (), listen))
    assert sum(words in line for line in listen.said) == 1


def test_class_weights_for_other_classes_are_refused(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(UsageError, match="one for each class"):
        trained(tmp_path, digits, {"train.class_weights": {"cat": 1}})


def test_progressive_resizing_starts_small_and_ends_at_full_size(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tenfold.training import engine

    seen: list[int] = []
    batch = engine.Trainer._batch

    def watched(self: engine.Trainer, *args: object) -> object:
        x, targets = batch(self, *args)
        seen.append(x.shape[2])
        return x, targets

    monkeypatch.setattr(engine.Trainer, "_batch", watched)
    recipe = Recipe.from_dict({
        "data": {"source": "digits", "train_size": 400},
        "model": {"name": "speednet", "filters": [8, 16], "initial": "glorot"},
        "train": {"epochs": 4, "batch_size": 100, "image_scales": [0.5, 0.75, 1]},
    })
    run = Run.create(tmp_path, "x")
    run.write_recipe(recipe)
    records = list(fit(recipe, prepare(digits, recipe.data), run, (), listen := Listen()))
    assert seen == [4] * 4 + [6] * 4 + [8] * 8
    assert listen.said == [f"epoch {epoch}: images at {scale} of the full size"
                           for epoch, scale in ((1, "0.5"), (2, "0.75"), (3, "1"))]
    assert len(records) == 4
    assert run.model().input_shape[1:] == (*prepare(digits, recipe.data).shape,)


def test_image_scales_are_fractions_of_the_image_size(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sizes_inside(monkeypatch)
    recipe = Recipe.from_dict({
        "data": {"source": "digits", "train_size": 400},
        "model": {"name": "speednet", "filters": [8, 16], "image_size": 16},
        "train": {"epochs": 2, "batch_size": 200, "image_scales": [0.5, 1]},
    })
    run = Run.create(tmp_path, "x")
    run.write_recipe(recipe)
    list(fit(recipe, prepare(digits, recipe.data), run))
    steps = [number for number, (training, _) in enumerate(seen) if training]
    assert [seen[number][1] for number in steps] == [8, 8, 16, 16]
    assert {size for training, size in seen[steps[0]:] if not training} == {16}  # validation


@pytest.mark.parametrize(("overrides", "message"), [
    ({"model.filters": [8], "train.image_scales": [0.5, 1]}, "received 0.5, images of 4×4 pixels"),
    ({"model.filters": [8], "train.image_scales": [0.5, 1], "model.image_size": 16}, "received 0.5, images of 8×8"),
])
def test_image_scales_that_the_network_cannot_take_are_refused(
    digits: Dataset, overrides: dict[str, Any], message: str
) -> None:
    recipe = Recipe.from_dict({"data": {"source": "digits"}}).replace(overrides)
    with pytest.raises(UsageError, match=message):
        check(recipe, prepare(digits, recipe.data))


@pytest.mark.parametrize(("scales", "warned"), [([0.5, 1], False), ([1, 0.5], True), ([], False)])
def test_scales_that_do_not_end_with_the_full_size_are_told(
    digits: Dataset, scales: list[float], warned: bool
) -> None:
    recipe = Recipe.from_dict({"data": {"source": "digits"}, "model": {"name": "speednet", "filters": [8]},
                               "train": {"epochs": 2, "image_scales": scales}})
    check(recipe, prepare(digits, recipe.data), listen := Listen())
    assert [line for line in listen.said if "end with 1" in line] == listen.said[:1] * warned


def test_whitening_comes_from_the_training_images_and_stays_fixed(tmp_path: Path, digits: Dataset) -> None:
    recipe = Recipe.from_dict({"data": {"source": "digits", "train_size": 400}, "model": {"name": "speednet"},
                               "train": {"epochs": 1, "batch_size": 100}}).replace({"model.filters": [8]})
    run = Run.create(tmp_path, "x")
    run.write_recipe(recipe)
    dataset = prepare(digits, recipe.data)
    list(fit(recipe, dataset, run))
    kernel, bias = run.model().get_layer("whitening").get_weights()
    images = np.asarray(dataset.train.images)
    patches = np.lib.stride_tricks.sliding_window_view(images[..., 0] / 127.5 - 1, (2, 2), axis=(1, 2))
    y = patches.reshape(-1, 4) @ kernel.reshape(4, 8) + bias
    np.testing.assert_allclose(np.cov(y[:, :4].T), np.eye(4), atol=0.05)
