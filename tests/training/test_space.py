"""The room a run takes: estimated above what it is, but not by much; too little is refused before anything is made."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from watchers import Listen

import tenfold
from tenfold.data import open_dataset
from tenfold.data.splits import prepare
from tenfold.errors import StorageError
from tenfold.models.summary import Summary
from tenfold.recipe import Recipe
from tenfold.registry import OPTIMIZERS
from tenfold.training import space

RECIPE = Recipe.from_dict({
    "data": {"source": "digits"}, "model": {"name": "mlp", "hidden": [1000, 500]}, "train": {"epochs": 1},
}, name="wide")
Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_the_estimate_covers_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    recipe = RECIPE.replace({"train.optimizer": optimizer, "train.learning_rate": 1e-4})
    run = tenfold.train(recipe, runs=tmp_path, csv=True)
    dataset = prepare(open_dataset("digits"), recipe.data)
    estimate = space.needed(recipe, dataset, Summary.of(recipe.model, dataset.shape, 10).parameters)
    # What is kept, and one more checkpoint and model while they are written.
    newest = max((run.path / "checkpoints").glob("last-*"))
    peak = space.used(run.path) + space.used(newest) + (run.path / "model.keras").stat().st_size
    assert peak <= estimate < 1.9 * peak  # Muon has two variables only for what it leaves to Adam


def test_too_little_disk_space_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 1_000_000))
    with pytest.raises(StorageError, match=r"^\S+: 1\.0 MB free; the run needs up to [\d.]+ MB: free some[^\n]+$"):
        tenfold.train(RECIPE, runs=tmp_path / "not" / "yet")
    assert not list(tmp_path.iterdir())


def test_resuming_needs_space_only_for_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tenfold.train(RECIPE, runs=tmp_path)
    tenfold.resume(run, epochs=2, watcher=(listen := Listen()))
    needed = next(line for line in listen.said if line.startswith("disk: up to "))
    assert float(needed.split()[3]) < space.used(run.path) / 1e6
