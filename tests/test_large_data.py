"""Images that are larger than memory: a training, an evaluation and an explanation read them a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenfold
from tenfold.data import dataset, open_dataset
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.source import Access, source
from tenfold.data.view import Images
from tenfold.evaluation import corruptions
from tenfold.jobs import probe
from tenfold.recipe import Recipe
from tenfold.registry import DATASETS
from tenfold.run import Run

MOST = 100  # images that may be read at a time
RECIPE = {
    "data": {"source": "large", "validation": 200},
    "model": {"name": "speednet", "filters": [4]},
    "train": {"epochs": 1, "batch_size": 64, "augment": {"translate": {"pixels": 1}}},
    "evaluate": {"batch_size": 80},
}


class Guarded:
    """A memory map that lets nobody have more than a part of it."""

    def __init__(self, mapped: np.ndarray) -> None:
        self._mapped = mapped
        self.shape, self.dtype = mapped.shape, mapped.dtype

    def __len__(self) -> int:
        return len(self._mapped)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        found = self._mapped[rows]
        assert found.ndim == 3 or len(found) <= MOST, f"{len(found)} images were read at once"
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise AssertionError("all images were read at once")


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    """600 and 150 drawn shapes, in memory."""
    return open_dataset("shapes:train=600,test=150,size=12,seed=1")


@pytest.fixture(scope="module")
def hashed(drawn: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The same, mapped, as the data set `large`: the number of images of each split that is hashed."""
    folder = tmp_path_factory.mktemp("large")
    for name, split in drawn.splits().items():
        np.save(folder / f"{name}.npy", split.images)

    def mapped(name: str, split: Split) -> Split:
        return Split(Guarded(np.load(folder / f"{name}.npy", mmap_mode="r")), split.labels, Provenance("mapped"))

    @source(where=lambda root: "here")
    def large(options: str, access: Access) -> Dataset:
        """Drawn shapes."""
        return Dataset("large", "large", drawn.classes, **{
            name: mapped(name, split) for name, split in drawn.splits().items()})

    counted: list[int] = []
    original = dataset.content_hash

    def count(images: Images, labels: np.ndarray) -> str:
        counted.append(len(images))
        return original(images, labels)

    DATASETS.names()  # finds all others before one is added
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS._entries, "large", large)
        patch.setattr("tenfold.data.view.BLOCK", 90 * 12 * 12 * 3)
        patch.setattr(corruptions, "VALUES_PER_BLOCK", 70 * 12 * 12 * 3)
        patch.setattr(dataset, "content_hash", count)
        yield counted


@pytest.fixture(scope="module")
def run(hashed: list[int], tmp_path_factory: pytest.TempPathFactory) -> Run:
    hashed.clear()
    run = tenfold.train(Recipe.from_dict(RECIPE, name="x"), runs=tmp_path_factory.mktemp("runs"))
    assert hashed == [400, 100, 100, 150]
    return run


def weights(run: Run) -> bytes:
    return b"".join(values.tobytes() for values in run.model().get_weights())


def test_memory_maps_train_to_the_same_weights_as_arrays(run: Run, drawn: Dataset, tmp_path: Path) -> None:
    assert weights(tenfold.train(Recipe.from_dict(RECIPE, name="x"), drawn, runs=tmp_path)) == weights(run)


def test_an_evaluation_reads_a_part_at_a_time_and_hashes_each_split_once(run: Run, hashed: list[int]) -> None:
    hashed.clear()
    metrics = tenfold.evaluate(run, data="large", corruptions=True)
    assert hashed == [400, 100, 100, 150, 150]  # the run's own data, and the split that is scored
    assert metrics["large-test"]["data"]["overlap"]["test"] == 150
    assert metrics["large-test"]["accuracy"] == metrics["test"]["accuracy"]


def test_an_explanation_reads_a_part_at_a_time(run: Run) -> None:
    assert tenfold.explain(run, most=2, neighbours=2).index.is_file()


def test_features_are_computed_a_part_at_a_time(
    run: Run, hashed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    hashed.clear()
    probe(f"run:{run.path}", "large", {"data.validation": 200, "evaluate.batch_size": 80},
          runs=tmp_path)
    assert hashed == [400, 100, 100, 150]
