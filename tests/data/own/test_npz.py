"""npz files: the form of Keras, plain pairs of images and labels, and what is none of that."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import digit_tree, digits, drawn, plant

from tenfold.data.dataset import Dataset
from tenfold.errors import DataError, UsageError

Read = Callable[..., Dataset]


def test_the_form_of_keras_has_a_split_for_each_pair(tmp_path: Path, read: Read, cache: Path) -> None:
    images, labels = digits(60)
    np.savez(tmp_path / "mnist.npz", x_train=images[:40], y_train=labels[:40], x_val=images[40:50],
             y_val=labels[40:50], x_test=images[50:], y_test=labels[50:])
    dataset = read(tmp_path / "mnist.npz")
    assert (dataset.name, dataset.uri) == ("mnist", f"npz:{tmp_path}/mnist.npz")
    assert (dataset.classes, dataset.shape) == (tuple("0123456789"), (8, 8, 1))
    for split, start, end in (("train", 0, 40), ("validation", 40, 50), ("test", 50, 60)):
        order = start + np.argsort(labels[start:end], kind="stable")
        assert np.array_equal(dataset.splits()[split].images[:][..., 0], images[order])
        assert np.array_equal(dataset.splits()[split].labels, labels[order])
    assert not cache.exists()  # the pixels are used as they are


def test_images_labels_and_classes_are_the_same_as_a_folder(tmp_path: Path, read: Read) -> None:
    tree = digit_tree(60, 4)
    labels = np.array([int(name[0]) for name in tree])
    np.savez_compressed(tmp_path / "a.npz", images=np.stack(list(tree.values())), labels=labels,
                        classes=np.array(["zero", "one", "two", "three"]))
    np.savez(tmp_path / "b.npz", images=np.stack(list(tree.values())), labels=labels.astype(str))
    named, plain = read(tmp_path / "a.npz"), read(tmp_path / "b.npz")
    assert named.classes == ("zero", "one", "two", "three")
    assert plain.fingerprint() == read(plant(tmp_path / "photos", tree)).fingerprint()
    assert named.train.fingerprint() == plain.train.fingerprint()


@pytest.mark.parametrize("change", [
    lambda images: images.astype(np.float64), lambda images: images / 255, lambda images: images.astype(np.int64),
    lambda images: (images / 255).astype(np.float16), lambda images: np.asfortranarray(images),
    lambda images: images.transpose(0, 3, 1, 2),
], ids=["decimals to 255", "decimals to 1", "whole numbers", "half precision", "order of Fortran", "channels first"])
def test_pixels_of_any_type_become_whole_numbers_to_255(
    tmp_path: Path, read: Read, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    images = np.stack([drawn(i) for i in range(6)])
    labels = np.array([[0], [1], [0], [1], [0], [1]])
    np.savez(tmp_path / "one-hot.npz", x_train=change(images), y_train=np.eye(2)[labels[:, 0]])
    assert np.array_equal(read(tmp_path / "one-hot.npz").train.labels, [0, 0, 0, 1, 1, 1])
    np.savez(tmp_path / "a.npz", x_train=change(images), y_train=labels)
    assert np.array_equal(read(tmp_path / "a.npz").train.images[:], images[[0, 2, 4, 1, 3, 5]])


def test_arrays_are_resized_and_grey_stays_grey(tmp_path: Path, read: Read) -> None:
    images, labels = digits(20)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels)
    dataset = read(tmp_path / "a.npz", size=16, resize="stretch")
    assert (dataset.shape, dataset.resize) == ((16, 16, 1), "stretch")
    mean = images[np.argsort(labels, kind="stable")].mean(axis=(1, 2))
    assert np.abs(dataset.train.images[:].mean(axis=(1, 2, 3)) - mean).max() < 12


@pytest.mark.parametrize(("arrays", "message"), [
    ({}, "received the arrays none; expected x_train and y_train"),
    ({"x_test": np.zeros((2, 8, 8)), "y_test": [0, 1]}, "received the arrays x_test, y_test; expected x_train and"),
    ({"x_train": np.zeros((2, 8)), "y_train": [0, 1]}, r"x_train is float64 \[2, 8\]"),
    ({"x_train": np.zeros((2, 8, 8, 4)), "y_train": [0, 1]}, "x_train has 4 channels; expected 1 or 3"),
    ({"x_train": np.full((2, 8, 8), 256), "y_train": [0, 1]}, "x_train holds values from 256 to 256; expected 0 to"),
    ({"x_train": np.full((2, 8, 8), np.nan), "y_train": [0, 1]}, "x_train holds values that are not finite"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [0, 1, 1]}, r"y_train is int64 \[3\]; expected 2 labels"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [0.5, 1]}, "y_train holds labels that are no whole numbers"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [1, 1]}, "received one class, '1'"),
    ({"images": np.zeros((2, 8, 8)), "labels": [0, 2], "classes": ["a", "b"]}, "received the label '2'; expected 0"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [0, 1], "x_test": np.zeros((2, 9, 9)), "y_test": [0, 1]},
     "images of the splits have the shapes"),
    ({"x_train": np.array([{}, {}]), "y_train": [0, 1]}, "expected an npz file of arrays of numbers"),
])
def test_unsuitable_arrays_are_refused_in_one_line(
    tmp_path: Path, read: Read, arrays: dict[str, object], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"^[^\n]*a.npz: [^\n]*{message}[^\n]*$"):
        read(tmp_path / "a.npz")


def test_a_damaged_file_and_one_that_unpacks_to_far_more_are_refused(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=np.zeros((2, 8, 8), np.uint8), y_train=[0, 1])
    whole = path.read_bytes()
    for content in (b"", b"none", whole[:-30], whole.replace(b"(2, 8, 8)", b"(2, 8, 9)")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"^[^\n]*a.npz: [^\n]*expected an npz file of arrays of numbers$"):
            read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        content = io.BytesIO()
        np.save(content, np.zeros((300, 1024, 1024), np.uint8))
        archive.writestr("x_train.npy", content.getvalue())
    with pytest.raises(DataError, match="unpacks to 314,572,928 bytes; expected at most 268,435,456"):
        read(path)
    with pytest.raises(UsageError, match="no such file; expected npz:PATH"):
        read(f"npz:{tmp_path}/b.npz")
