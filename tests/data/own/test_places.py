"""Paths of own images: which source reads them, and URIs that hold from any working directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_images import drawn, encoded, plant

from tenfold.data import canonical
from tenfold.data.own.places import data_name
from tenfold.errors import UnknownNameError, UsageError

DOTS = encoded(drawn(0))


@pytest.mark.parametrize(("name", "kind"), [
    ("a.csv", "csv"), ("a.tsv", "csv"), ("A.CSV", "csv"), ("a.npz", "npz"), ("a.pkl", "pickle"), ("a.pickle", "pickle"),
    ("a.parquet", "parquet"), ("a.zip", "zip"), ("a.tar", "tar"), ("a.tar.gz", "tar"), ("a.tgz", "tar"),
    ("a.tar.xz", "tar")])
def test_the_ending_of_a_file_tells_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert canonical(name) == canonical(f"./{name}") == canonical(f"{kind}:{name}") == f"{kind}:{tmp_path / name}"


@pytest.mark.parametrize(("files", "kind"), [
    (["cat/a.png"], "folder"), (["cat/a.png", "labels.csv"], "folder"), (["cat/a.png", "index.parquet"], "parquet"),
    (["cat.png", "index.parquet"], "folder"), (["data/train-0.parquet", "README.md"], "parquet"),
    (["default/train/0000.parquet"], "parquet"), ([".cache/a.parquet", "cat/a.png"], "folder"), ([], "folder")])
def test_a_folder_is_one_of_images_or_of_tables(tmp_path: Path, files: list[str], kind: str) -> None:
    plant(tmp_path, dict.fromkeys(files, DOTS))
    assert canonical(str(tmp_path)) == f"{kind}:{tmp_path}"


def test_the_name_of_a_data_set_wins_over_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"digits/cat/a.png": DOTS})
    monkeypatch.chdir(tmp_path)
    assert canonical("digits") == "digits"
    assert canonical("./digits") == f"folder:{tmp_path}/digits"


def test_a_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(plant(tmp_path, {"photos/cat/a.png": DOTS})))
    assert canonical("~/photos") == canonical("folder:~/photos") == f"folder:{tmp_path}/photos"


def test_what_is_neither_a_name_nor_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'cifar11'[^\n]*did you mean 'cifar10'"):
        canonical("cifar11")
    for odd in ("a\0b", "x" * 5000, str(tmp_path / "nothing")):
        with pytest.raises(UsageError, match=r"^[^\n]*$"):
            canonical(odd)
    (tmp_path / "photo.png").write_bytes(DOTS)
    with pytest.raises(UsageError, match=r"photo.png: received a file of an unknown kind"):
        canonical(str(tmp_path / "photo.png"))


def test_a_path_that_a_run_can_not_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = plant(tmp_path / os.fsdecode(b"caf\xe9"), {"photos/cat/a.png": DOTS})
    monkeypatch.chdir(odd)
    for uri in (str(odd / "photos"), f"folder:{odd}/photos", "photos", "folder:photos"):
        with pytest.raises(UsageError, match=r"^data set [^\n]*/caf\?/photos: received a path whose bytes are no UTF-8 "
                                             r"text; [^\n]*$"):
            canonical(uri)


@pytest.mark.parametrize(("uri", "name"), [
    ("folder:/home/me/photos", "photos"), ("folder:/home/me/photos/", "photos"), ("zip:/a/pets.zip", "pets"),
    ("tar:/a/pets.v2.tar.gz", "pets.v2"), ("csv:/a/my labels (2).csv", "my-labels-2"), ("folder:/", "images"),
    ("parquet:/data/*.parquet", "data"), ("cifar10", "cifar10"), ("shapes:seed=1", "shapes")])
def test_a_path_gives_a_data_set_its_name(uri: str, name: str) -> None:
    assert data_name(uri) == name
