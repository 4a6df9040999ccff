"""Bursts of nearly identical images are found once and kept, as long as nothing that determines them changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import open_dataset
from tenfold.data.caches import entries
from tenfold.data.dataset import Dataset
from tenfold.data.own import groups, kept_bursts

Write = Callable[[np.ndarray], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_bursts, "WORTH_KEEPING", 20)
    return tmp_path / "cache"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images of each search for bursts that was really made."""
    made: list[int] = []
    search = groups.burst_groups

    def counted(images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
        made.append(len(rows))
        return search(images, labels, rows)

    monkeypatch.setattr(groups, "burst_groups", counted)
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes images of two classes, one after the other, as an npz file."""
    def written(images: np.ndarray) -> Path:
        path = tmp_path / "pets.npz"
        np.savez(path, images=images, labels=np.arange(len(images)) // (len(images) // 2))
        return path

    return written


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    """30 scenes of noise; the first of each class twice in a row."""
    scenes = rng.integers(0, 256, (30, 16, 16, 3), np.uint8)
    scenes[1], scenes[16] = scenes[0], scenes[15]
    return scenes


def opened(path: Path) -> Dataset:
    return open_dataset(str(path))


def test_bursts_are_searched_once(write: Write, images: np.ndarray, calls: list[int]) -> None:
    path = write(images)
    first, again = opened(path), opened(path)
    assert calls == [30]
    assert first.train.groups is not None
    assert again.train.groups is not None
    assert first.train.groups.tolist() == again.train.groups.tolist()
    assert len(np.unique(first.train.groups)) == 28
    assert first.notes == again.notes
    (entry,) = entries()
    assert (entry.name, entry.state) == ("pets", "complete")


def test_other_images_or_rules_are_searched_anew(
    write: Write, images: np.ndarray, calls: list[int], monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(images)
    opened(path)
    images[1] = images[5]
    os.utime(write(images), ns=(1, 1))
    changed = opened(path)
    assert calls == [30, 30]
    assert changed.train.groups is not None
    assert changed.train.groups[1] == changed.train.groups[5] != changed.train.groups[0]
    monkeypatch.setattr(groups, "RULES", 2)
    opened(path)
    assert calls == [30, 30, 30]


def test_bursts_of_a_few_images_are_not_kept(write: Write, images: np.ndarray, calls: list[int]) -> None:
    path = write(images[[0, 1, 2, 15, 16, 17]])
    opened(path)
    opened(path)
    assert calls == [6, 6]
    assert entries() == []


def test_a_cache_that_can_not_be_written_only_costs_time(
    tmp_path: Path, write: Write, images: np.ndarray, calls: list[int],
) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    path = write(images)
    for _ in range(2):
        groups_found = opened(path).train.groups
        assert groups_found is not None
        assert len(np.unique(groups_found)) == 28
    assert calls == [30, 30]
