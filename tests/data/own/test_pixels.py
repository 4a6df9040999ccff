"""Tables with the pixels of an image in each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from made_images import digits, drawn

from tenfold.data.dataset import Dataset
from tenfold.data.own.pixels import read_pixels
from tenfold.errors import DataError, UsageError

Read = Callable[..., Dataset]
NAMES = [f"pixel{i}" for i in range(64)]


def table(path: Path, header: Iterable[object] | None, rows: Iterable[Iterable[object]]) -> Path:
    lines = [*([] if header is None else [header]), *rows]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


def test_kaggles_digit_recognizer_is_read(tmp_path: Path, read: Read) -> None:
    images, labels = digits(30)
    rows = [[label, *image.ravel()] for image, label in zip(images, labels, strict=True)]
    dataset = read(table(tmp_path / "train.csv", ["label", *NAMES], rows))
    assert (dataset.name, dataset.classes, dataset.shape) == ("train", tuple("0123456789"), (8, 8, 1))
    order = np.argsort(labels, kind="stable")
    assert np.array_equal(dataset.train.images[:][..., 0], images[order])
    assert dataset.train.names[:2] == (f"row {order[0] + 1}", f"row {order[1] + 1}")


@pytest.mark.parametrize(("header", "arranged"), [
    (None, lambda label, pixels: [label, *pixels]),  # no line of names: the first column is the label
    ([*NAMES, "label"], lambda label, pixels: [*pixels, label]),
    (["id", "digit", *NAMES], lambda label, pixels: [7, label, *pixels]),  # label_column says which
    (["label", *(f"{row}x{column}" for row in range(1, 9) for column in range(1, 9))],  # as the MNIST of Kaggle
     lambda label, pixels: [label, *pixels]),
])
def test_columns_may_stand_otherwise(
    tmp_path: Path, read: Read, header: list[str] | None, arranged: Callable[..., list[object]]
) -> None:
    images, labels = digits(30)
    rows = [arranged(label, image.ravel()) for image, label in zip(images, labels, strict=True)]
    keys = {"label_column": "digit"} if header and "digit" in header else {}
    dataset = read(table(tmp_path / "train.csv", header, rows), **keys)
    assert np.array_equal(dataset.train.images[:][..., 0], images[np.argsort(labels, kind="stable")])


def test_three_values_a_pixel_are_red_green_and_blue(tmp_path: Path, read: Read) -> None:
    images = [drawn(i, 5, 5) for i in range(2)]
    header = ["label", *(f"pixel{i}_{channel}" for i in range(25) for channel in "rgb")]
    rows = [[name, *image.ravel()] for name, image in zip(("a", "b"), images, strict=True)]
    assert np.array_equal(read(table(tmp_path / "t.csv", header, rows)).train.images[:], images)


@pytest.mark.parametrize(("value", "shown"), [(256, "256"), (-1, "-1"), (0.5, "0.5"), ("", "empty")])
def test_a_value_that_is_no_pixel_names_its_row_and_column(
    tmp_path: Path, read: Read, value: object, shown: str
) -> None:
    images, labels = digits(30)
    rows = [[label, *image.ravel()] for image, label in zip(images, labels, strict=True)]
    rows[17][5] = value
    with pytest.raises(DataError, match=rf"^[^\n]*t.csv, row 18: pixel4 is {shown}; expected a whole number from 0 to "
                                        r"255$"):
        read(table(tmp_path / "t.csv", ["label", *NAMES], rows))


def test_a_word_among_the_pixels_is_refused(tmp_path: Path, read: Read) -> None:
    rows = [["3", *["0"] * 63, "dark"], ["4", *["0"] * 64]]
    with pytest.raises(DataError, match=r"^[^\n]*dark[^\n]*expected a whole number from 0 to 255[^\n]*$"):
        read(table(tmp_path / "t.csv", ["label", *NAMES], rows))


def test_rows_without_a_label_are_counted_and_named(tmp_path: Path, read: Read) -> None:
    rows = [["" if i in (3, 70, 868) else i % 2, *[i % 256] * 64] for i in range(869)]
    with pytest.raises(DataError, match=r"^[^\n]*: 3 of 869 rows have no label \(row 4, row 71, row 869\); [^\n]*$"):
        read(table(tmp_path / "t.csv", ["label", *NAMES], rows))


def test_a_table_without_labels_is_for_prediction_only(tmp_path: Path, read: Read) -> None:
    images, _ = digits(5)
    path = table(tmp_path / "test.csv", NAMES, [image.ravel() for image in images])
    with pytest.raises(DataError, match=r"^[^\n]*test.csv: received pixels without labels; [^\n]*$"):
        read(path)
    pixels = read_pixels(path, ",", NAMES)
    assert pixels.labels is None
    assert np.array_equal(pixels.images[..., 0], images)


@pytest.mark.parametrize(("header", "rows", "message"), [
    (["label", *NAMES[:63]], [[1, *[0] * 63], [2, *[0] * 63]], "received 63 columns of pixels; expected a square"),
    (["label", *NAMES], [], "received no rows"),
    (["label", *NAMES[:63], NAMES[0]], [[1, *[0] * 64]], "two columns have the same name"),
    (["label", *NAMES], [[1, *[0] * 64], [2, *[0] * 63]], "expected a whole number"),
    (["label", *NAMES], [[1, *[0] * 64], [1, *[0] * 64]], "received one class, '1'"),
])
def test_an_unsuitable_table_is_refused_in_one_line(
    tmp_path: Path, read: Read, header: list[str], rows: list[list[object]], message: str
) -> None:
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
        read(table(tmp_path / "t.csv", header, rows))


def test_an_unknown_label_column_is_refused(tmp_path: Path, read: Read) -> None:
    path = table(tmp_path / "t.csv", ["label", *NAMES], [[1, *[0] * 64], [2, *[0] * 64]])
    with pytest.raises(UsageError, match=r"^data.label_column: unknown column 'lable'[^\n]*'label'"):
        read(path, label_column="lable")
