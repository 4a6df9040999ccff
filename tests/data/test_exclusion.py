"""Decisions about single images: dropped and relabelled, named, and refused where they make no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_images import by_name, digit_tree, encoded, left_out, plant

from tenfold.data import Dataset, open_dataset
from tenfold.data.exclusion import exclude, identified, image_names
from tenfold.data.splits import prepare
from tenfold.errors import DataError, UsageError
from tenfold.recipe import DataSection


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    damaged = {"1/cut.png": encoded(np.zeros((8, 8), np.uint8))[:40]}
    return open_dataset(str(plant(tmp_path / "photos", {**digit_tree(40, 4), **damaged})),
                        section=DataSection(group=None))


def decided(folder: Path, text: str, header: str = "image,decision,label") -> str:
    path = folder / "decisions.csv"
    path.write_text(f"{header}\n{text}", encoding="utf-8")
    return str(path)


def test_images_are_dropped_and_relabelled_and_named(photos: Dataset, tmp_path: Path) -> None:
    file = decided(tmp_path, "0/digit-0.png,drop,\n1/digit-1.png,relabel,3\n2/digit-2.png,keep,\n1/cut.png,drop,\n")
    cleaned = exclude(photos, file)
    assert len(cleaned.train) == len(photos.train) - 1
    assert "0/digit-0.png" not in by_name(cleaned)
    assert by_name(cleaned)["1/digit-1.png"] == ("3", "train")
    assert left_out(cleaned)["0/digit-0.png"] == "dropped by decisions.csv"
    assert cleaned.notes[-1] == "decisions.csv: 1 image dropped, 1 relabelled (1/digit-1.png)"
    assert cleaned.fingerprint() != photos.fingerprint()
    assert by_name(photos)["1/digit-1.png"] == ("1", "train")


def test_the_decisions_are_part_of_a_recipe(photos: Dataset, tmp_path: Path) -> None:
    section = DataSection(exclude=decided(tmp_path, "0/digit-0.png,drop,\n"), group=None)
    prepared = prepare(photos, section)
    assert "0/digit-0.png" not in by_name(prepared)
    assert len(by_name(prepared)) == len(by_name(photos)) - 1


def test_only_keeping_changes_nothing(photos: Dataset, tmp_path: Path) -> None:
    assert exclude(photos, decided(tmp_path, "0/digit-0.png,keep,\n")) is photos


def test_absolute_paths_and_what_spreadsheets_write(photos: Dataset, tmp_path: Path) -> None:
    text = f"{tmp_path}/photos/0/digit-0.png;drop;\n\n1/digit-1.png;relabel;'3\n"
    path = Path(decided(tmp_path, text.replace("'3", "3"), "\ufeffImage;Decision;Label"))
    assert len(exclude(photos, str(path)).train) == len(photos.train) - 1


def test_numbers_stay_those_of_the_source(tmp_path: Path) -> None:
    shapes = open_dataset("shapes:train=40,test=20")
    cleaned = exclude(shapes, decided(tmp_path, "train:0,drop,\ntest:3,drop,\n"))
    assert image_names(cleaned)["train"][:2] == ("train:1", "train:2")
    assert image_names(cleaned)["test"][3] == "test:4"
    prepared = prepare(identified(shapes), DataSection(validation=0.25))
    assert prepared.validation is not None
    number = int(prepared.validation.names[0].partition(":")[2])
    assert (shapes.train.images[number] == prepared.validation.images[0]).all()


@pytest.mark.parametrize(("text", "message"), [
    ("0/no.png,drop,\n", r"1 of 1 row names images that photos does not have \(0/no.png\); expected names such as 0/"),
    ("0/digit-0.png,burn,\n", "line 2: received the decision 'burn'; expected keep, drop or relabel"),
    ("0/digit-0.png,relabel,\n", "line 2: received relabel without a label"),
    ("0/digit-0.png,relabel,cat\n", "0/digit-0.png: unknown class 'cat'"),
    ("0/digit-0.png,keep,\n0/digit-0.png,drop,\n", "line 3: received another decision for '0/digit-0.png'"),
])
def test_unsuitable_decisions_are_refused_in_one_line(photos: Dataset, tmp_path: Path, text: str,
                                                      message: str) -> None:
    with pytest.raises(UsageError, match=rf"^data\.exclude: [^\n]*{message}[^\n]*$"):
        exclude(photos, decided(tmp_path, text))


def test_a_file_that_is_no_table_is_refused_in_one_line(photos: Dataset, tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for name in ("missing.csv", "binary.csv", "empty.csv", "other.csv", "."):
        with pytest.raises(UsageError, match=r"^data\.exclude: [^\n]*expected a CSV file with the columns[^\n]*$"):
            exclude(photos, str(tmp_path / name))


def test_dropping_all_but_one_class_is_refused(photos: Dataset, tmp_path: Path) -> None:
    rest = "".join(f"{name},drop,\n" for name in by_name(photos) if not name.startswith("0/"))
    with pytest.raises(DataError, match="leaves training images of fewer than 2 classes"):
        exclude(photos, decided(tmp_path, rest))
