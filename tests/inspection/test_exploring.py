"""What is known of the images of a data set before any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_images import drawn, encoded, plant

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.exclusion import identified
from tenfold.errors import ModelFileError
from tenfold.inspection import inspect
from tenfold.inspection.exploring import explore, small_side
from tenfold.recipe import DataSection
from tenfold.report.explore import plots, sizes_in_words, summary


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))


def pixels(dataset: Dataset, _watcher: object) -> np.ndarray:
    parts = [split.images[:].reshape(len(split), -1) for split in dataset.splits().values()]
    return np.concatenate(parts).astype(np.float32)


def test_counts_sizes_examples_and_findings_of_files(tmp_path: Path) -> None:
    files = {f"train/{'ab'[i % 2]}/{i:02d}.png": drawn(i, 40, 48) for i in range(21)}
    files |= {"test/a/again.png": drawn(0, 40, 48), "test/b/wide.png": drawn(70, 20, 60),
              "train/a/cut.png": encoded(drawn(90))[:100]}
    headers: dict = {}
    dataset = identified(open_dataset(str(plant(tmp_path / "images", files)), section=DataSection(group=None),
                                      visit=headers.update))
    explored = explore(dataset, inspect(dataset, headers, needs=("files", "pixels")), headers, features=pixels)
    assert explored.count_of() == {"train": {"a": 11, "b": 10}, "test": {"a": 1, "b": 1}}
    assert explored.name_of(21) == "test/a/again.png"
    leak = next(each for each in explored.findings if each.kind == "leak")
    assert {explored.name_of(row) for row in leak.rows.tolist()} == {"train/a/00.png", "test/a/again.png"}
    assert explored.kinds[int(explored.worst[21])].name == "leak"
    assert next(each for each in explored.findings if each.kind == "unreadable").rows.tolist() == []
    assert sizes_in_words(explored) == ("The files are 48 to 60 pixels wide and 20 to 40 high. Tenfold reads them at "
                                        "{}×{} pixels.".format(*dataset.shape[1::-1]))
    assert summary(explored)["sizes"] == {"width": [48, 60], "height": [20, 40], "different": 2}
    a = explored.labels == 0
    whole = np.concatenate([split.images[:] for split in dataset.splits().values()])
    np.testing.assert_allclose(explored.looks.means[0], whole[a].mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(explored.looks.colours, whole.mean(axis=(1, 2)), rtol=1e-4)
    assert set(explored.labels[explored.examples].tolist()) == {0, 1}
    assert set(plots(explored)) == {f"explore_{name}" for name in
                                    ("counts", "examples", "means", "sizes", "colours", "map")}


def test_images_that_are_no_files_are_named_by_split_and_number() -> None:
    images = np.stack([drawn(i)[..., :1] for i in range(6)])
    train, test = (Split(images[part], np.arange(len(images[part])) % 2, Provenance("made")) for part in
                   (slice(4), slice(4, None)))
    dataset = Dataset("made", "made", ("a", "b", "none"), train, test=test)
    explored = explore(dataset, inspect(dataset, needs=("files", "pixels")), features=pixels)
    assert explored.names == ()
    assert [explored.name_of(row) for row in (0, 3, 4)] == ["train:0", "train:3", "test:0"]
    assert explored.method == "PCA"
    assert explored.sizes is None
    assert np.isnan(explored.looks.means[2]).all()
    assert "explore_sizes" not in plots(explored)


def test_all_images_equal_and_no_backbone_leave_the_rest_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> np.ndarray:
        raise ModelFileError("the weights are not installed")

    split = Split(np.full((5, 8, 8, 3), 7, np.uint8), np.array([0, 1, 0, 1, 0]), Provenance("made"))
    dataset = Dataset("made", "made", ("a", "b"), split)
    explored = explore(dataset, inspect(dataset, needs=("files", "pixels")), features=missing)
    assert explored.places is None
    assert explored.notes == ["there is no map: the weights are not installed"]
    assert set(plots(explored)) == {"explore_counts", "explore_examples", "explore_means", "explore_colours"}


def test_more_images_are_shown_smaller() -> None:
    assert [small_side(count) for count in (5, 3_750, 60_000, 100_000, 10**7)] == [96, 96, 24, 18, 8]
