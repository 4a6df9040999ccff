"""Folders of images: classes, splits, and everything that people leave lying about in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import by_name, digit_tree, drawn, encoded, left_out, plant

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.own.listing import file_signature
from tenfold.data.splits import prepare
from tenfold.errors import DataError, UsageError
from tenfold.recipe import DataSection

Read = Callable[..., Dataset]
DOTS = encoded(drawn(0))


def test_a_folder_for_each_class_becomes_a_training_split(tmp_path: Path, read: Read) -> None:
    tree = digit_tree(40, 4)
    dataset = read(plant(tmp_path / "photos", tree))
    assert (dataset.name, dataset.classes, dataset.shape) == ("photos", ("0", "1", "2", "3"), (8, 8, 1))
    assert list(dataset.splits()) == ["train"]
    assert by_name(dataset) == {name: (name[0], "train") for name in tree}
    for name, image in zip(dataset.train.names, np.asarray(dataset.train.images[:]), strict=True):
        assert np.array_equal(image[..., 0], tree[name])


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation"])
def test_folders_for_the_splits_above_the_classes_are_used_as_they_are(
    tmp_path: Path, read: Read, validation: str
) -> None:
    tree = {f"{split}/{name}": image for split, each in zip(("train", validation, "test"), range(3), strict=True)
            for name, image in list(digit_tree(60, 2).items())[20 * each : 20 * each + 20]}
    dataset = read(plant(tmp_path / "photos", tree))
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 20, "validation": 20, "test": 20}
    assert all(found == (name.split("/")[1], {"train": "train", "test": "test"}.get(name.split("/")[0], "validation"))
               for name, found in by_name(dataset).items())


def test_a_test_folder_is_never_used_as_validation(tmp_path: Path, read: Read) -> None:
    tree = {f"{'test' if i % 4 == 0 else 'train'}/{name}": image
            for i, (name, image) in enumerate(digit_tree(60, 2).items())}
    dataset = read(plant(tmp_path / "photos", tree))
    assert dataset.validation is None
    prepared = prepare(dataset, DataSection())
    assert all(name.startswith("train/") for name in prepared.validation.names)
    assert all(name.startswith("test/") for name in prepared.test.names)
    assert len(prepared.test) == 15


def test_a_class_that_a_split_lacks_keeps_its_index(tmp_path: Path, read: Read) -> None:
    dataset = read(plant(tmp_path / "pets", {
        "train/cat/a.png": DOTS, "train/dog/b.png": DOTS, "train/eel/c.png": DOTS, "test/eel/d.png": DOTS,
        "validation/dog/e.png": DOTS}))
    assert dataset.classes == ("cat", "dog", "eel")
    assert (dataset.test.labels.tolist(), dataset.validation.labels.tolist()) == ([2], [1])


def test_folders_named_with_numbers_keep_these_names_in_numerical_order(tmp_path: Path, read: Read) -> None:
    dataset = read(plant(tmp_path / "pets", {f"{month}/{month}.png": DOTS for month in range(1, 13)}))
    assert dataset.classes == tuple(map(str, range(1, 13)))
    assert by_name(dataset)["10/10.png"] == ("10", "train")


def test_hidden_files_sidecars_and_strays_are_left_out_and_named(tmp_path: Path, read: Read) -> None:
    litter = {".ipynb_checkpoints/a-checkpoint.png": DOTS, "cat/.ipynb_checkpoints/b.png": DOTS, "cat/.DS_Store": b"x",
              "cat/._a.png": b"x", "__MACOSX/cat/a.png": DOTS, "dog/Thumbs.db": b"x", "cat/a.txt": b"a cat",
              "annotations.json": b"{}", "cover.png": DOTS}
    dataset = read(plant(tmp_path / "pets", {"cat/a.png": DOTS, "dog/b.png": DOTS, **litter}))
    assert by_name(dataset) == {"cat/a.png": ("cat", "train"), "dog/b.png": ("dog", "train")}
    hidden = "it is hidden or belongs to the operating system"
    assert left_out(dataset) == {
        ".ipynb_checkpoints": hidden, "cat/.ipynb_checkpoints": hidden, "cat/.DS_Store": hidden, "cat/._a.png": hidden,
        "__MACOSX": hidden, "dog/Thumbs.db": hidden, "cat/a.txt": "it is no image, by its name",
        "annotations.json": "it is no image, by its name", "cover.png": "it is in no class folder"}
    assert any("6 (.ipynb_checkpoints, __MACOSX, " in note for note in dataset.notes)


def test_an_empty_class_folder_is_an_error_unless_it_is_kept(tmp_path: Path, read: Read) -> None:
    path = plant(tmp_path / "pets", {"cat/a.png": DOTS, "dog/b.png": DOTS, "eel/": b"", "fox/notes.txt": b"none yet"})
    with pytest.raises(DataError, match=r"^[^\n]*pets: 2 class folders hold no images: eel, fox; [^\n]*"
                                        r"data.allow_empty=true$"):
        read(path)
    dataset = read(path, allow_empty=True)
    assert dataset.classes == ("cat", "dog", "eel", "fox")
    assert dataset.train.labels.tolist() == [0, 1]


def test_a_class_that_is_empty_in_one_split_only_is_no_error(tmp_path: Path, read: Read) -> None:
    tree = {"train/cat/a.png": DOTS, "train/dog/b.png": DOTS, "test/cat/c.png": DOTS, "test/dog/": b""}
    assert len(read(plant(tmp_path / "pets", tree)).test) == 1


def test_folders_that_hold_everything_else_are_skipped(tmp_path: Path, read: Read) -> None:
    dataset = read(plant(tmp_path / "pets", {"photos/2026/cat/a.png": DOTS, "photos/2026/dog/b.png": DOTS,
                                             "photos/2026/eel/": b""}), allow_empty=True)
    assert dataset.classes == ("cat", "dog", "eel")


def test_a_class_may_be_called_train(tmp_path: Path, read: Read) -> None:
    assert read(plant(tmp_path / "lego", {"train/a.png": DOTS, "bus/b.png": DOTS})).classes == ("bus", "train")


@pytest.mark.parametrize(("files", "message"), [
    ({}, "received no images"),
    ({"cat/a.txt": b"x"}, "received no images"),
    ({"a.png": DOTS, "b.png": DOTS}, "the images are in no class folder"),
    ({"cat/a.png": DOTS}, "received one class, 'cat'; expected 2 to 10,000 classes"),
    ({"cat/old/a.png": DOTS, "cat/b.png": DOTS, "dog/c.png": DOTS},
     r"1 image is in folders below the class folders \(cat/old/a.png\)"),
    ({"/".join("abcdefghi") + "/x.png": DOTS, "b/y.png": DOTS}, "folders are nested more than 8 levels deep"),
    ({"cat/a.png": b"no image", "dog/b.png": b"none either"}, "none of its 2 images can be read"),
    ({"cat/a.png": DOTS, "dog/b.png": b"no image"}, "only images of 'cat' can be read"),
    ({"test/cat/a.png": DOTS, "test/dog/b.png": DOTS}, "received no training images"),
    ({"ca\nt/a.png": DOTS, "dog/b.png": DOTS}, r"received the class 'ca\?t'"),
    ({os.fsdecode(b"caf\xe9/a.png"): DOTS, "dog/b.png": DOTS}, r"received the class 'caf\?'"),
])
def test_an_unsuitable_tree_is_refused_in_one_line(
    tmp_path: Path, read: Read, files: dict[str, bytes], message: str
) -> None:
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
        read(plant(tmp_path / "pets", files))


def test_too_many_classes_are_refused(tmp_path: Path, read: Read) -> None:
    for i in range(10_001):
        (tmp_path / "pets" / str(i)).mkdir(parents=True)
        (tmp_path / "pets" / str(i) / "a.png").touch()
    with pytest.raises(DataError, match="received 10,001 classes; expected 2 to 10,000 classes"):
        read(tmp_path / "pets")


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path, read: Read) -> None:
    (tmp_path / "a.txt").touch()
    for path in ("folder:", f"folder:{tmp_path}/nothing", f"folder:{tmp_path}/a.txt"):
        with pytest.raises(UsageError, match=r"^data set folder: [^\n]*expected folder:PATH[^\n]*$"):
            read(path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_followed_and_broken_ones_named(tmp_path: Path, read: Read) -> None:
    plant(tmp_path / "elsewhere", {"b.png": DOTS, "c.png": DOTS})
    pets = plant(tmp_path / "pets", {"cat/a.png": DOTS})
    (pets / "dog").symlink_to(tmp_path / "elsewhere")
    (pets / "cat" / "d.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (pets / "cat" / "gone.png").symlink_to(tmp_path / "nothing.png")
    (pets / "cat" / "circle.png").symlink_to(pets / "cat" / "circle.png")
    (pets / "cat" / "up").symlink_to(pets)
    dataset = read(pets)
    assert sorted(by_name(dataset)) == ["cat/a.png", "cat/d.png", "dog/b.png", "dog/c.png"]
    assert left_out(dataset) == dict.fromkeys(["cat/gone.png", "cat/circle.png", "cat/up"],
                                              "it is a link that leads to no image")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_what_is_no_regular_file_is_left_out(tmp_path: Path, read: Read) -> None:
    pets = plant(tmp_path / "pets", {"cat/a.png": DOTS, "dog/b.png": DOTS})
    os.mkfifo(pets / "dog" / "pipe.png")
    assert left_out(read(pets)) == {"dog/pipe.png": "it can't be read: it is not a regular file"}
    visited: list[dict[str, object]] = []
    open_dataset(f"folder:{pets}", visit=visited.append)  # looks into the headers
    assert sorted(visited[0]) == ["cat/a.png", "dog/b.png"]


def test_a_folder_that_must_not_be_searched_is_told_in_one_line(tmp_path: Path, read: Read, monkeypatch) -> None:
    pets = plant(tmp_path / "pets", {"cat/a.png": DOTS, "dog/b.png": DOTS})
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("dog"))
    with pytest.raises(DataError, match="dog: can't be read: Permission denied; expected a folder of images"):
        read(pets)


def test_a_file_that_vanishes_meanwhile_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: can't be read: No such file or directory; open the images again"):
        file_signature([("gone.png", tmp_path / "gone.png")])


def test_names_that_are_no_text_lose_nothing(tmp_path: Path, read: Read) -> None:
    odd = os.fsdecode(b"\xff\xfe.png")
    dataset = read(plant(tmp_path / "pets", {f"cat/{odd}": DOTS, "dog/b\nc.png": DOTS, f"dog/{odd}.txt": b"x",
                                             f"dog/bad-{odd}": b"x"}))
    assert len(dataset.train) == 2
    assert sorted(left_out(dataset)) == ["dog/??.png.txt", "dog/bad-??.png"]
