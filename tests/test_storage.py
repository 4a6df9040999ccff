"""A disk that fails in the middle of a training: one line, nothing half-written, the checkpoint before whole."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tenfold
from drill.training import content, stray
from tenfold.data import Dataset
from tenfold.errors import StorageError
from tenfold.progress import Epoch, Event, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.training import checkpoint

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=200,test=40,seed=4"},
    "model": {"name": "cnn", "filters": [4], "dense": [8]}, "train": {"epochs": 3, "batch_size": 30},
}, name="small")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return tenfold.open_dataset(RECIPE.data.source)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Run:
    return tenfold.train(RECIPE, dataset, runs=tmp_path_factory.mktemp("whole"))


class Then(Watcher):
    """Does something after the first epoch."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def on(self, event: Event) -> None:
        if isinstance(event, Epoch) and event.record["epoch"] == 1:
            self.act()


def fails(dataset: Dataset, runs: Path, act: Callable[[Run], object]) -> Run:
    """Train, let something happen to the run after the first epoch, and see it fail in one line."""
    run = Run(runs / "small-shapes-1")
    with pytest.raises(StorageError, match=r"^can't write [^\n]+$"):
        tenfold.train(RECIPE, dataset, runs=runs, watcher=Then(lambda: act(run)))
    return run


def to_folder(path: Path) -> None:
    """Put a folder, with something in it, in the place of a file."""
    path.unlink(missing_ok=True)
    (path / "in the way").mkdir(parents=True)


@pytest.mark.parametrize("name", ["history.csv", "model.keras", "metrics.json", "predictions/test.parquet",
                                  "report.html", "plots/loss.png"])
def test_a_folder_instead_of_a_file_fails_the_run(name: str, whole: Run, dataset: Dataset, tmp_path: Path) -> None:
    run = fails(dataset, tmp_path, lambda run: to_folder(run.path / name))
    assert run.status()["status"] == "failed"
    assert name in run.status()["reason"]
    assert not stray(run)
    checkpoint.load(run, "last")
    shutil.rmtree(run.path / name)
    assert content(tenfold.resume(run)) == content(whole)


def test_a_file_instead_of_a_folder_fails_the_run(whole: Run, dataset: Dataset, tmp_path: Path) -> None:
    run = fails(dataset, tmp_path, lambda run: (run.path / "predictions").touch())
    assert run.status()["status"] == "failed"
    (run.path / "predictions").unlink()
    assert content(tenfold.resume(run)) == content(whole)


def test_a_folder_instead_of_the_status_is_reported_in_one_line(dataset: Dataset, tmp_path: Path) -> None:
    def act(run: Run) -> None:
        to_folder(run.path / "status.json")
        to_folder(run.path / "history.csv")

    run = fails(dataset, tmp_path, act)
    assert not stray(run)
    assert checkpoint.load(run, "last").position.epoch == 1


def test_a_deleted_run_directory_is_not_created_again(dataset: Dataset, tmp_path: Path) -> None:
    fails(dataset, tmp_path, lambda run: shutil.rmtree(run.path))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """A function that makes `tmp_path` read-only, for root as well, and writable again."""
    layers = []

    def make(wanted: bool) -> None:
        if wanted:
            subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
            layers.append(tmp_path)
            subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], check=True)
        else:
            subprocess.run(["umount", layers.pop()], check=True)

    if subprocess.run(["mount", "--bind", tmp_path, tmp_path], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    subprocess.run(["umount", tmp_path], check=True)
    yield make
    for layer in layers:
        subprocess.run(["umount", layer], check=True)


def test_a_run_on_a_disk_that_becomes_read_only_dies_and_can_resume(
    whole: Run, dataset: Dataset, tmp_path: Path, read_only: Callable[[bool], None]
) -> None:
    run = fails(dataset, tmp_path, lambda run: read_only(True))
    assert run.status()["status"] == "died"  # nobody could write that it failed
    assert checkpoint.load(run, "last").position.epoch == 1
    with pytest.raises(StorageError, match="Read-only file system"):
        tenfold.train(RECIPE, dataset, runs=tmp_path)
    assert [run.name for run in Run.list(tmp_path)] == ["small-shapes-1"]
    read_only(False)
    assert content(tenfold.resume(run)) == content(whole)
    assert not stray(run)
