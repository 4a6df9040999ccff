"""Data-parallel training: the loss of one process, every validation image once, and it goes on when a process dies."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from watchers import Listen

from tenfold import train
from tenfold.errors import UsageError
from tenfold.progress import Epoch, Event, Notice, Watcher
from tenfold.progress.journal import NAME, read
from tenfold.recipe import Recipe
from tenfold.run import State

# 50 steps of 16 images, and 21 images for validation, which two processes can't share evenly.
FIFTY = Recipe.load("cnn2", {
    "data.source": "shapes:train=821,test=60,size=16", "data.validation": 21, "data.calibration": 0,
    "model.filters": [8, 16], "model.dense": [16], "train.epochs": 1, "train.batch_size": 16,
    "train.precision": "float32"})


class Killer(Watcher):
    """Kills a process of the training once, after its first epoch."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.killed = False

    def on(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.said.append(event.text)
            if "epoch 1/" in event.text and not self.killed:
                self.killed = True
                multiprocessing.active_children()[-1].kill()


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    alone, together = train(FIFTY, runs=tmp_path), train(FIFTY, runs=tmp_path, ranks=2)
    first, second = alone.history()[0], together.history()[0]
    assert second["loss"] == pytest.approx(first["loss"], abs=1e-3)
    assert second["val_loss"] == pytest.approx(first["val_loss"], abs=1e-3)
    assert (21 * second["val_accuracy"]) % 1 == pytest.approx(0, abs=1e-9)
    assert second["val_accuracy"] == pytest.approx(first["val_accuracy"], abs=1 / 21 + 1e-9)
    for one, other in zip(alone.model().get_weights(), together.model().get_weights(), strict=True):
        assert np.abs(one - other).max() < 5e-3
    assert together.metrics()["test"]["count"] == 60
    assert sum(isinstance(event, Epoch) for _, event in read(together.path / NAME)) == 1


def test_it_goes_on_from_the_last_checkpoint_when_a_process_dies(tmp_path: Path) -> None:
    recipe = FIFTY.replace({"train.epochs": 3, "data.source": "shapes:train=3221,test=60,size=16"})
    killer = Killer()
    run = train(recipe, runs=tmp_path, ranks=2, watcher=killer)
    assert killer.killed
    assert any("goes on from its last checkpoint" in said for said in killer.said)
    assert [record["epoch"] for record in run.history()] == [1, 2, 3]
    assert run.status().state is State.FINISHED
    assert sum("training in 2 processes" in said for said in killer.said) == 2


def test_what_several_processes_cannot_train_is_refused(tmp_path: Path) -> None:
    for options, words in (({"ranks": 0}, "ranks: received 0"),
                           ({"ranks": 2, "min_ranks": 3}, "min_ranks: received 3; expected 1 to 2"),
                           ({"ranks": 2, "overrides": {"model.name": "pretrained"}}, "expected a network of Tenfold")):
        with pytest.raises(UsageError, match=words):
            train("mlp", "digits", runs=tmp_path / "runs", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()


def test_an_interrupt_saves_and_stops_all(tmp_path: Path) -> None:
    recipe = FIFTY.replace({"train.epochs": 200})
    listen = Listen(stop_if=lambda said: any("epoch   1/" in each for each in said))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, runs=tmp_path, ranks=2, watcher=listen)
    run, = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert list((run / "checkpoints").glob("last-*"))
    assert not multiprocessing.active_children()
