"""Pickles: Kaggle's preprocessed CIFAR-10 in all its forms, the batches of CIFAR, and pickles that run code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import drawn

from tenfold.data.dataset import Dataset
from tenfold.errors import DataError

Read = Callable[..., Dataset]
NAMES = ["airplane", "automobile", "bird"]


def save(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.fixture
def images() -> np.ndarray:
    return np.stack([drawn(i, 32, 32) for i in range(18)])


def kaggle(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray] = lambda x: x, **more: object) -> dict:
    """The dictionary of Kaggle's files: three splits, channels first."""
    x, y = change(images.transpose(0, 3, 1, 2).astype(np.float32)), np.arange(18) % 3
    return {"x_train": x[:9], "y_train": y[:9], "x_validation": x[9:12], "y_validation": y[9:12],
            "x_test": x[12:], "y_test": y[12:], **more}


def pixels(dataset: Dataset) -> np.ndarray:
    """The images of a data set of Kaggle's form in the order in which they were written."""
    parts = [split.images[:][np.argsort([int(name.split()[1]) for name in split.names])]
             for split in dataset.splits().values()]
    return np.concatenate(parts)


def test_kaggles_files_of_whole_pixels_are_read_with_the_names_of_the_classes(
    tmp_path: Path, read: Read, images: np.ndarray
) -> None:
    dataset = read(save(tmp_path / "data0.pickle", kaggle(images, lambda x: x.astype(np.uint8), labels=NAMES)))
    assert dataset.classes == tuple(NAMES)
    assert {name: split.labels.tolist() for name, split in dataset.splits().items()} == {
        "train": [0, 0, 0, 1, 1, 1, 2, 2, 2], "validation": [0, 1, 2], "test": [0, 0, 1, 1, 2, 2]}
    assert np.array_equal(pixels(dataset), images)


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("divided", [False, True])
def test_the_mean_and_the_deviation_that_were_taken_from_the_pixels_are_put_back(
    tmp_path: Path, read: Read, images: np.ndarray, scale: int, channels_last: bool, divided: bool
) -> None:
    plain = images[:9].transpose(0, 3, 1, 2).astype(np.float32) / scale
    mean, deviation = plain.mean(axis=0), plain.std(axis=0) + 0.01
    facts = {"mean_image": mean, "std_image": deviation} if divided else {"mean_image": mean}
    content = kaggle(images, lambda x: (x / scale - mean) / (deviation if divided else 1), **facts)
    if channels_last:
        content = {key: value.transpose(0, 2, 3, 1) if key.startswith("x_") else value for key, value in
                   content.items()}
    assert np.array_equal(pixels(read(save(tmp_path / "data2.pickle", content))), images)


def test_pixels_without_their_mean_are_refused(tmp_path: Path, read: Read, images: np.ndarray) -> None:
    content = kaggle(images, lambda x: x / 255 - 0.5)
    with pytest.raises(DataError, match=r"x_train holds values from -0.5 to 0.49[0-9]*; expected 0 to 255, or 0 to 1$"):
        read(save(tmp_path / "data3.pickle", content))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_batch_of_cifar_is_read(tmp_path: Path, read: Read, images: np.ndarray, protocol: int) -> None:
    rows = images.transpose(0, 3, 1, 2).reshape(18, 3072)
    labels = [i % 3 for i in range(18)]
    path = save(tmp_path / "batch.pkl", {b"data": rows, b"labels": labels, b"filenames": [b"a.png"] * 18}, protocol)
    dataset = read(path)
    assert dataset.classes == ("0", "1", "2")
    assert np.array_equal(dataset.train.images[:], images[np.argsort(labels, kind="stable")])


def test_a_batch_of_another_size_is_refused(tmp_path: Path, read: Read) -> None:
    path = save(tmp_path / "batch.pkl", {"data": np.zeros((2, 784), np.uint8), "labels": [0, 1]})
    with pytest.raises(DataError, match=r"data is uint8 \[2, 784\]; expected \[n, 3072\] as in a batch of CIFAR"):
        read(path)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this code must not run",)


@pytest.mark.parametrize(("content", "message"), [
    (Harmful(), "refused: the pickle uses builtins.print"),
    ({"x_train": Harmful()}, "refused: the pickle uses builtins.print"),
    ([1, 2], "received a list; expected a dictionary of arrays"),
    ({"a": 1}, "received the arrays a; expected x_train and y_train"),
    ({"x_train": [1, 2], "y_train": [0, 1]}, r"x_train is int64 \[2\]; expected numbers"),
    ({"x_train": [[1], [2, 3]], "y_train": [0, 1]}, "x_train"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": {"a": 1}}, "y_train"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [0, [1]]}, "y_train"),
    ({"x_train": np.zeros((2, 8, 8)), "y_train": [0, 1], "labels": [["a"], "b"]}, "class names"),
])
def test_what_is_not_of_this_form_is_refused_in_one_line(
    tmp_path: Path, read: Read, capsys: pytest.CaptureFixture[str], content: object, message: str
) -> None:
    with pytest.raises(DataError, match=rf"^[^\n]*a.pickle: [^\n]*{message}[^\n]*$"):
        read(save(tmp_path / "a.pickle", content))
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.real
def test_real_images_come_back_from_the_decimals_of_kaggle(
    tmp_path: Path, read: Read, photographs: tuple[np.ndarray, np.ndarray]
) -> None:
    images = photographs[0][:18]
    plain = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    content = kaggle(images, lambda x: (x / 255 - plain.mean(axis=0)) / plain.std(axis=0),
                     mean_image=plain.mean(axis=0), std_image=plain.std(axis=0))
    assert np.array_equal(pixels(read(save(tmp_path / "data8.pickle", content))), images)
