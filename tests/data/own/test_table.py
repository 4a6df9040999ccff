"""Tables of paths and labels: which column is which, where the files are, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import by_name, digit_tree, drawn, encoded, left_out, plant

from tenfold.data.dataset import Dataset
from tenfold.data.own.table import unlabelled
from tenfold.errors import DataError, UsageError

Read = Callable[..., Dataset]
DOTS = encoded(drawn(0))


def table(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Four images in a folder `images`, without class folders."""
    return plant(tmp_path / "pets", {f"images/{name}.png": encoded(drawn(i)) for i, name in enumerate("abcd")})


@pytest.mark.parametrize("lines", [
    ("file,label", "images/a.png,cat", "images/b.png,dog"),  # relative to the table
    ("file,label", "a.png,cat", "b.png,dog"),  # in a folder beside it
    ("id,breed", "a,cat", "b,dog"),  # without the ending
    ("file,breed", "a,cat", "b.png,dog"),  # some with it
    ("label;file", "cat;a.png", "dog;b.png"),
    ("file\tlabel", "a.png\tcat", "b.png\tdog"),
    ("number,sharpness,file,label", "1,0.5,a.png,cat", "2,0.7,b.png,dog"),
    ("file,kind", "a.png,cat", "b.png,dog"),  # the only other column
    ('\ufefffile,label', '"a.png","cat"', '"b.png","dog"'),  # as spreadsheets write it
    ("a.png,cat", "b.png,dog"),  # no line of names
])
def test_the_columns_are_found_by_content_and_name(pets: Path, read: Read, lines: tuple[str, ...]) -> None:
    dataset = read(table(pets / "labels.csv", *lines))
    assert {name.removeprefix("images/"): found for name, found in by_name(dataset).items()} == {
        "a.png": ("cat", "train"), "b.png": ("dog", "train")}
    assert np.array_equal(dataset.train.images[0], read(f"csv:{pets}/labels.csv").train.images[0])
    assert dataset.uri == f"csv:{pets}/labels.csv"


def test_the_missing_ending_of_each_file_is_found(tmp_path: Path, read: Read) -> None:
    """Also where it differs from that of the first rows, and a file that does not exist is named as in the table."""
    endings = ["png"] * 40 + ["jpg", "PNG", "jpeg"]
    plant(tmp_path / "pets", {f"images/x{i}.{ending}": encoded(drawn(i), "PNG" if "n" in ending.lower() else "JPEG")
                              for i, ending in enumerate(endings)})
    rows = [f"x{i},{'cat' if i % 2 else 'dog'}" for i in range(len(endings))]
    dataset = read(table(tmp_path / "pets" / "labels.csv", "id,label", *rows, "y,cat"))
    assert sorted(dataset.train.names) == sorted(f"x{i}.{ending}" for i, ending in enumerate(endings))
    assert [(one.name, one.reason) for one in dataset.left_out] == [("y", "there is no such file")]


def test_a_table_of_tabs_may_end_in_tsv(pets: Path, read: Read) -> None:
    lines = "file\tlabel", "a.png\tcat, striped", "b.png\tdog"
    assert read(table(pets / "labels.tsv", *lines)).classes == ("cat, striped", "dog")


def test_columns_may_be_chosen(pets: Path, read: Read) -> None:
    path = table(pets / "labels.csv", "left,right,label,colour", "a.png,c.png,cat,red", "b.png,d.png,dog,blue")
    dataset = read(path, path_column="right", label_column="colour")
    assert by_name(dataset) == {"c.png": ("red", "train"), "d.png": ("blue", "train")}
    with pytest.raises(UsageError, match=r"^data.label_column: unknown column 'color'[^\n]*colour"):
        read(path, label_column="color")


def test_a_column_may_name_the_split(pets: Path, read: Read) -> None:
    path = table(pets / "labels.csv", "file,label,Split", "a,cat,train", "b,dog,TRAIN", "c,cat,val", "d,dog,test")
    assert {name: split for name, (_, split) in by_name(read(path)).items()} == {
        "a.png": "train", "b.png": "train", "c.png": "validation", "d.png": "test"}
    path = table(pets / "other.csv", "file,label,split", "a,cat,train", "b,dog,fold-1")
    with pytest.raises(DataError, match="the column 'split' holds fold-1; expected train, validation and test"):
        read(path)


def test_missing_files_and_repeated_rows_are_left_out_and_named(pets: Path, read: Read) -> None:
    long = "x" * 300
    path = table(pets / "labels.csv", "file,label", "a.png,cat", "b.png,dog", "e.png,dog", "a.png,cat", f"{long},cat")
    dataset = read(path)
    assert sorted(by_name(dataset)) == ["a.png", "b.png"]
    assert left_out(dataset) == {"e.png": "there is no such file", "a.png": "it is listed twice",
                                 long: "there is no such file"}


def test_missing_labels_are_counted_and_named(pets: Path, read: Read) -> None:
    rows = [f"{i:03d}.png,{'' if i in (3, 70, 868) else 'cat' if i % 2 else 'dog'}" for i in range(869)]
    plant(pets / "images", {row.split(",")[0]: DOTS for row in rows})
    with pytest.raises(DataError, match=r"^[^\n]*: 3 of 869 rows have no label in the column 'label' \(003.png, "
                                        r"070.png, 868.png\); [^\n]*$"):
        read(table(pets / "labels.csv", "file,label", *rows))


@pytest.mark.parametrize(("lines", "message"), [
    ((), "expected a first line with the names of the columns"),
    (("file,label",), "received no rows"),
    (("file,label", "a.png,cat", "b.png"), "line 3 has 1 cell; expected 2"),
    (("file,label", "e.png,cat", "f.png,dog"), r"none of the columns file, label holds paths of images \(received "),
    (("file", "a.png", "b.png"), "can't tell which column holds the labels"),
    (("file,sex,age", "a.png,f,3", "b.png,m,4"), "can't tell which column holds the labels: sex, age; choose it with"),
    (("file,label", "a.png,cat", "b.png,dog", "a.png,dog"), r"1 image is listed with different labels \(a.png\)"),
    (("file,label", "a.png,cat", "b.png,cat"), "received one class, 'cat'"),
    (("file,label", "a.png,cat", ",dog", "b.png,dog"), r"1 of 3 rows has no path in the column 'file' \(row 2\)"),
])
def test_an_unsuitable_table_is_refused_in_one_line(
    pets: Path, read: Read, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
        read(table(pets / "labels.csv", *lines))


def test_what_is_no_text_is_refused(pets: Path, read: Read) -> None:
    for content in (b"\xff\xfe\x00a", b"file,label\n\xff,cat\n", b"\0" * 100, DOTS):
        (pets / "labels.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"^[^\n]*labels.csv: [^\n]*$"):
            read(pets / "labels.csv")


def test_a_path_that_is_no_table_is_refused(tmp_path: Path, read: Read) -> None:
    (tmp_path / "photo.docx").touch()
    with pytest.raises(UsageError, match=r"photo.docx: received a file of an unknown kind; expected a folder, or"):
        read(tmp_path / "photo.docx")
    with pytest.raises(UsageError, match=r"labels.csv: no such file; expected csv:PATH"):
        read(f"csv:{tmp_path}/labels.csv")
    with pytest.raises(UsageError, match=r"labels\.csv: no such file or folder"):
        read(tmp_path / "labels.csv")


def test_a_table_and_a_folder_of_the_same_images_have_the_same_fingerprint(tmp_path: Path, read: Read) -> None:
    tree = digit_tree(60, 4)
    path = plant(tmp_path / "photos", tree)
    rows = [f"{name},{name[0]}" for name in reversed(tree)]
    names = [f"{name.removesuffix('.png')},{name[0]}" for name in sorted(tree)]
    fingerprints = {read(path).fingerprint(), read(table(path / "all.csv", "file,label", *rows)).fingerprint(),
                    read(table(tmp_path / "beside.csv", "id,label", *names)).fingerprint()}
    assert len(fingerprints) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_table_may_be_in_unicode_of_any_kind(tmp_path: Path, read: Read, encoding: str) -> None:
    plant(tmp_path, {"k/ä.png": encoded(drawn(0)), "k/b.png": encoded(drawn(1))})
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "t.csv").write_text(f"{mark}path,label\nk/ä.png,Kätzchen\nk/b.png,dog\n", encoding=encoding)
    assert read(tmp_path / "t.csv").classes == ("Kätzchen", "dog")


def test_a_table_in_another_encoding_is_refused_with_advice(tmp_path: Path, read: Read) -> None:
    (tmp_path / "t.csv").write_text("path,label\nä.png,cat\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"t\.csv: can't be read as a table: it is not UTF-8 text; [^\n]*CSV UTF-8"):
        read(tmp_path / "t.csv")


def test_a_file_that_is_named_with_its_ending_and_without_is_one_image(tmp_path: Path, read: Read) -> None:
    plant(tmp_path, {f"{name}.png": encoded(drawn(i)) for i, name in enumerate("abc")})
    (tmp_path / "t.csv").write_text("path,label\na,cat\nb,dog\na.png,cat\nc,dog\n")
    assert list(left_out(read(tmp_path / "t.csv")).values()) == ["it is listed twice"]
    (tmp_path / "t.csv").write_text("path,label\na,cat\nb,dog\na.png,dog\nc,dog\n")
    with pytest.raises(DataError, match=r"listed with different labels \(a.png\)"):
        read(tmp_path / "t.csv")


def test_the_name_of_a_column_is_no_image_even_if_a_file_is_called_so(tmp_path: Path, read: Read) -> None:
    plant(tmp_path, {f"{name}.png": encoded(drawn(i)) for i, name in enumerate(["a", "b", "image"])})
    (tmp_path / "t.csv").write_text("image,label\na.png,cat\nb.png,dog\n")
    assert read(tmp_path / "t.csv").classes == ("cat", "dog")
    assert [path.name for path in unlabelled(tmp_path / "t.csv")] == ["a.png", "b.png"]


def test_a_name_without_ending_means_the_same_file_in_any_order_of_rows(tmp_path: Path, read: Read) -> None:
    plant(tmp_path, {name: encoded(drawn(i), "JPEG" if name.endswith("g") and "jp" in name else "PNG")
                     for i, name in enumerate(["a.png", "b.png", "b.jpg", "c.jpg"])})
    for rows in (("a,x", "b,y", "c,x"), ("c,x", "b,y", "a,x")):
        (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
        assert set(read(tmp_path / "t.csv").train.names) == {"a.png", "b.png", "c.jpg"}


def test_paths_to_classify_may_be_one_without_a_header_or_missing(tmp_path: Path) -> None:
    plant(tmp_path, {"a.png": encoded(drawn(0)), "mask.png": encoded(drawn(1))})
    (tmp_path / "one.csv").write_text("a.png\n")
    assert unlabelled(tmp_path / "one.csv") == [tmp_path / "a.png"]
    (tmp_path / "two.csv").write_text("mask,image\nmask.png,a.png\n")
    assert unlabelled(tmp_path / "two.csv") == [tmp_path / "a.png"]
    (tmp_path / "t.csv").write_text("id,image\n1,a.png\n2,\n")
    assert unlabelled(tmp_path / "t.csv") == [tmp_path / "a.png", Path(f"{tmp_path / 't.csv'} row 2")]
    (tmp_path / "none.csv").write_text("path\n")
    with pytest.raises(DataError, match="received no rows"):
        unlabelled(tmp_path / "none.csv")
