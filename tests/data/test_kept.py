"""Data sets kept in a directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import Dataset, kept, open_dataset
from tenfold.errors import DataError, UsageError


@pytest.fixture
def dataset() -> Dataset:
    """Drawn shapes with a test split, groups and a note."""
    shapes = open_dataset("shapes:train=60,test=20")
    train = replace(shapes.train, groups=np.arange(60) // 3, names=tuple(f"{i}.png" for i in range(60)))
    return replace(shapes, train=train.take(np.arange(59, -1, -1)), notes=("a note",))


def test_a_kept_data_set_is_the_same(dataset: Dataset, tmp_path: Path) -> None:
    kept.write(dataset, tmp_path)
    found = kept.open_kept(tmp_path)
    assert found.fingerprint() == dataset.fingerprint()
    assert found.train.groups is not None
    assert found.train.groups.tolist() == (np.arange(59, -1, -1) // 3).tolist()
    assert (found.train.names, found.notes) == (dataset.train.names, ("a note",))
    assert found.train.provenance == dataset.train.provenance
    assert isinstance(found.train.images, np.memmap)
    assert kept.size(dataset) == 80 * 32 * 32 * 3


def test_a_path_opens_it(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    kept.write(dataset, tmp_path / "data")
    for uri in (str(tmp_path), str(tmp_path / "data"), f"kept:{tmp_path}"):
        assert open_dataset(uri).fingerprint() == dataset.fingerprint()
    with pytest.raises(UsageError, match="no such folder"):
        open_dataset(f"kept:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="it was given in Python"):
        open_dataset(kept.given_uri(dataset))


@pytest.mark.parametrize("name", ["dataset.json", "train-images.npy", "train-labels.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "nonsense"])
def test_damaged_files_are_one_line(dataset: Dataset, tmp_path: Path, name: str, damage: str) -> None:
    kept.write(dataset, tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if damage != "missing":
        half = content[: len(content) // 2]
        (tmp_path / name).write_bytes({"empty": b"", "cut": half, "nonsense": b"\x80[]"}[damage])
    with pytest.raises(DataError, match=r"^[^\n]*damaged or missing[^\n]*$"):
        kept.open_kept(tmp_path)
