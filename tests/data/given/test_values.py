"""Labelled images given as Python values: every form makes the same data set."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tenfold.data import Dataset, open_dataset
from tenfold.data.given.values import dataset_of
from tenfold.errors import DataError, UsageError
from tenfold.recipe import DataSection

COUNT = 60


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Handwritten digits uint8 [60, 8, 8]."""
    return (load_digits().images[:COUNT] * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return load_digits().target[:COUNT]


class Torch(torch.utils.data.Dataset[tuple[Any, Any]]):
    def __init__(self, x: Any, y: Any, classes: list[str] | None = None) -> None:
        self.x, self.y = x, y
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.x[number], self.y[number]


def forms(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """The same labelled images, in every form."""
    files = []
    for image in x:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        files.append(stream.getvalue())
    return {
        "arrays": (x, y), "a list": [x, list(y)], "one channel": (x[..., None], y[:, None]),
        "texts": (x, [str(label) for label in y]), "bytes as texts": (x, y.astype("S")),
        "one-hot": (x, np.eye(10)[y]), "0 to 1": (x / 255, y), "float32": (x.astype(np.float32), y.astype(np.float32)),
        "tensors": (torch.tensor(x), torch.tensor(y)), "channels first": (torch.tensor(x[:, None] / 255), y),
        "a list of arrays": (list(x), y), "Pillow": ([Image.fromarray(image) for image in x], y), "files": (files, y),
        "PyTorch": Torch(torch.tensor(x[:, None] / 255), torch.tensor(y)), "PyTorch of Pillow": Torch(
            [Image.fromarray(image) for image in x], y.tolist()),
        "a subset": torch.utils.data.Subset(Torch(x, y, list("0123456789")), range(len(y))),
        "a dictionary": {"x_train": x, "y_train": y}, "splits by name": {"train": (x, y)},
    }


@pytest.mark.parametrize("form", forms(np.zeros((2, 8, 8), np.uint8), np.arange(2)))
def test_every_form_gives_the_same_data_set(x: np.ndarray, y: np.ndarray, form: str) -> None:
    dataset = dataset_of(forms(x, y)[form])
    assert dataset.classes == tuple("0123456789")
    np.testing.assert_array_equal(dataset.train.images, x[..., None])
    np.testing.assert_array_equal(dataset.train.labels, y)
    assert (dataset.validation, dataset.test) == (None, None)


def test_a_data_set_is_taken_as_it_is() -> None:
    digits = open_dataset("digits")
    assert dataset_of(digits) is digits


@pytest.mark.parametrize("form", ["flat", "pairs of Keras", "three pairs", "names", "PyTorch"])
def test_splits_are_told_apart(x: np.ndarray, y: np.ndarray, form: str) -> None:
    parts = [(x[:40], y[:40]), (x[40:50], y[40:50]), (x[50:], y[50:])]
    data: Any = {
        "flat": tuple(value for part in parts for value in part), "pairs of Keras": (parts[0], parts[2]),
        "three pairs": parts, "names": {"train": parts[0], "val": parts[1], "test": parts[2]},
        "PyTorch": [Torch(*part) for part in parts]}[form]
    found = dataset_of(data).splits()
    expected = {"train": 40, "validation": 10, "test": 10}
    if form == "pairs of Keras":
        del expected["validation"]
    assert {name: len(split) for name, split in found.items()} == expected
    np.testing.assert_array_equal(found["test"].labels, y[50:])


def test_a_flat_tuple_of_four_has_training_and_validation_images(x: np.ndarray, y: np.ndarray) -> None:
    assert set(dataset_of((x[:40], y[:40], x[40:], y[40:])).splits()) == {"train", "validation"}


def test_classes_are_names_or_sorted_labels(x: np.ndarray, y: np.ndarray) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert dataset_of(Torch(x, y, words)).classes == tuple(words)
    assert dataset_of((x, [words[label] for label in y])).classes == tuple(sorted(words))
    assert dataset_of((x, y * 10)).classes == tuple(str(10 * i) for i in range(10))  # not "0", "10", "100", …


def test_images_of_different_sizes_are_brought_to_one(tmp_path: Path) -> None:
    images = [Image.new("RGB", (40, 20), "red"), Image.new("L", (30, 30), 200), Image.new("RGB", (50, 50), "blue")]
    images[2].save(tmp_path / "blue.png")
    data = ([images[0], images[1], str(tmp_path / "blue.png")], ["a", "b", "a"])
    found = dataset_of(data)
    assert found.shape == (40, 40, 3)  # the median of the longer sides
    assert found.resize == "pad"
    assert (found.train.images[0][:9] == 0).all()
    assert (found.train.images[0][20] == (255, 0, 0)).all()
    assert (found.train.images[1] == 200).all()
    assert dataset_of(data, DataSection(size=16, resize="stretch")).train.images[0][0, 0].tolist() == [255, 0, 0]
    assert dataset_of(data, side=32).shape == (32, 32, 3)


X, Y = np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]
WRONG = {
    "a number": (3, UsageError, "received an int; expected a Dataset"),
    "images alone": (X, UsageError, r"received an array uint8 \[4, 8, 8\]; expected"),
    "three arrays": ((X, Y, X), UsageError, "received a tuple of 3 values"),
    "no labels": ((X, None), UsageError, "labels: received None"),
    "too few labels": ((X, [0, 1]), DataError, "received 4 images and 2 labels"),
    "one class": ((X, [1, 1, 1, 1]), DataError, "one class, '1'"),
    "normalised": ((X - 0.5, Y), DataError, "values from -0.5 to -0.5; expected 0 to 255, or 0 to 1"),
    "NaN": ((np.full((4, 8, 8), np.nan), Y), DataError, "values that are not finite"),
    "texts as images": ((np.array(["a"] * 4), Y), DataError, "expected numbers"),
    "a text among images": ((["nowhere.png", X[0]], [0, 1]), DataError, "image 0: nowhere.png: can't be read"),
    "halves": ((X, [0.5, 1, 0, 1]), DataError, "no whole numbers"),
    "ragged labels": ((X, [[0], [1, 2], [0], [1]]), DataError, "differ in shape"),
    "other channels": ((np.zeros((4, 8, 8, 5)), Y), DataError, "5 channels; expected 1 or 3"),
    "an empty list": (([], []), DataError, "no images"),
    "a dictionary": ({"a": X}, UsageError, "a dictionary with a; expected x_train"),
    "only a test split": ({"test": (X, Y)}, UsageError, "the splits test; expected a training split"),
    "items that are no pairs": (Torch([1, 2], [0, 1]), DataError, "image 0: an image: received an int"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_get_one_short_line(name: str) -> None:
    value, kind, words = WRONG[name]
    with pytest.raises(kind, match=words) as caught:
        dataset_of(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_data_set_of_hugging_face(x: np.ndarray, y: np.ndarray) -> None:
    import datasets

    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=words)})
    whole = datasets.Dataset.from_dict(
        {"picture": [Image.fromarray(image) for image in x], "label": y.tolist()}, features=features)
    found = dataset_of(whole)
    assert found.classes == tuple(words)
    np.testing.assert_array_equal(found.train.images, x[..., None])
    np.testing.assert_array_equal(found.train.labels, y)
    both = datasets.DatasetDict({"train": whole.select(range(50)), "test": whole.select(range(50, COUNT))})
    assert {name: len(split) for name, split in dataset_of(both).splits().items()} == {"train": 50, "test": 10}
    assert isinstance(dataset_of(both), Dataset)
