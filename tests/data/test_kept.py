"""Data sets kept in a directory."""

from __future__ import annotations

import errno
import shutil
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


def test_a_data_set_that_is_kept_elsewhere_shares_its_images(dataset: Dataset, tmp_path: Path) -> None:
    dataset = replace(dataset, uri=kept.given_uri(dataset))
    for name in ("first", "second", "other", "damaged"):
        (tmp_path / name).mkdir()
    kept.write(dataset, tmp_path / "first")
    kept.write(replace(dataset, train=dataset.train.take(np.arange(50))), tmp_path / "other")
    shutil.copytree(tmp_path / "first", tmp_path / "damaged", dirs_exist_ok=True)
    (tmp_path / "damaged" / "train-images.npy").write_bytes((tmp_path / "other" / "train-images.npy").read_bytes())
    same = kept.same_in(dataset, [tmp_path / name for name in ("nowhere", "other", "damaged", "first")])
    assert same == tmp_path / "first"
    kept.write(dataset, tmp_path / "second", same)
    assert (tmp_path / "second" / "train-images.npy").samefile(same / "train-images.npy")
    shutil.rmtree(same)
    assert kept.open_kept(tmp_path / "second").fingerprint() == dataset.fingerprint()


def test_where_links_are_impossible_the_images_are_copied(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        kept.write(dataset, tmp_path / name, tmp_path / "first" if name == "second" else None)
    assert not (tmp_path / "second" / "train-images.npy").samefile(tmp_path / "first" / "train-images.npy")
    assert kept.open_kept(tmp_path / "second").fingerprint() == dataset.fingerprint()
