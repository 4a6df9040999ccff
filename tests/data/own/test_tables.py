"""Parquet tables of encoded images: shards, splits, class names from the metadata, and tables that are unsuitable."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_images import by_name, digit_tree, digits, drawn, encoded, left_out, plant

from tenfold.data.dataset import Dataset
from tenfold.data.encoded_table import EncodedTable, open_table
from tenfold.data.own.tables import Rows
from tenfold.errors import DataError, UsageError

Read = Callable[..., Dataset]
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, contents: Sequence[bytes | None], labels: Sequence[object], *, image: str = "image",
          label: str = "label", names: Sequence[str] = (), plain: bool = False) -> Path:
    """A table as the Hugging Face Hub has it; `names`: the class names in its metadata."""
    cells = pa.array(contents, pa.binary()) if plain else \
        pa.array([None if each is None else {"bytes": each, "path": None} for each in contents], IMAGE)
    table = pa.table({image: cells, label: pa.array(labels)})
    if names:
        features = {label: {"names": list(names), "_type": "ClassLabel"}, image: {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=16)
    return path


@pytest.fixture
def contents() -> list[bytes]:
    return [encoded(drawn(i)) for i in range(6)]


@pytest.mark.parametrize(("image", "label", "plain"), [
    ("image", "label", False), ("img", "label", False), ("image", "labels", True), ("img", "fine_label", False)])
def test_a_table_is_read_with_the_names_in_its_metadata(
    tmp_path: Path, read: Read, contents: list[bytes], image: str, label: str, plain: bool
) -> None:
    path = write(tmp_path / "pets.parquet", contents, [0, 1, 2, 0, 1, 2], image=image, label=label,
                 names=("dog", "cat", "eel"), plain=plain)
    dataset = read(path)
    assert (dataset.name, dataset.classes) == ("pets", ("dog", "cat", "eel"))
    assert by_name(dataset)["pets.parquet row 5"] == ("eel", "train")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_brackets_in_names_are_no_pattern(tmp_path: Path, read: Read, contents: list[bytes]) -> None:
    write(tmp_path / "pets [1]" / "x[2].parquet", contents, ["cat", "dog"] * 3)
    for place, name in (("pets [1]/x[2].parquet", "x-2"), ("pets [1]", "pets-1"), ("pets [1]/*.parquet", "pets-1"),
                        ("pets [[]1]/*.parquet", tmp_path.name)):
        dataset = read(tmp_path / place)
        assert (dataset.name, len(dataset.train)) == (name, 6)


@pytest.mark.parametrize(("labels", "classes"), [
    (["cat", "dog", "cat", "dog", "cat", "dog"], ("cat", "dog")), ([10, 9, 10, 9, 10, 9], ("9", "10")),
    ([True, False] * 3, ("False", "True"))])
def test_labels_without_names_are_the_classes(
    tmp_path: Path, read: Read, contents: list[bytes], labels: list[object], classes: tuple[str, ...]
) -> None:
    assert read(write(tmp_path / "pets.parquet", contents, labels)).classes == classes


def test_the_column_of_labels_may_be_chosen(tmp_path: Path, read: Read, contents: list[bytes]) -> None:
    path = write(tmp_path / "pets.parquet", contents, ["a", "b"] * 3, label="colour")
    assert read(path, label_column="colour").classes == ("a", "b")
    with pytest.raises(DataError, match=r"received the columns image, colour; expected 'label' or "):
        read(path)


@pytest.mark.parametrize("names", [
    ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"),
    ("default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"),  # refs/convert/parquet
    ("plain_text/partial-train/0000.parquet", "plain_text/partial-train/0001.parquet", "plain_text/test/0000.parquet"),
    ("train_0.parquet", "train_1.parquet", "test.parquet"),
])
def test_the_shards_of_a_data_set_of_the_hub_are_put_together(
    tmp_path: Path, read: Read, contents: list[bytes], names: tuple[str, ...]
) -> None:
    for i, name in enumerate(names):
        write(tmp_path / "hub" / name, contents[2 * i : 2 * i + 2], [0, 1], names=("cat", "dog"))
    plant(tmp_path / "hub", {"README.md": b"# Pets", ".gitattributes": b"x", "dataset_infos.json": b"{}"})
    dataset = read(tmp_path / "hub")
    assert dataset.uri == f"parquet:{tmp_path}/hub"
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 4, "test": 2}
    assert len(by_name(dataset)) == 6  # each image has a name of its own
    assert dataset.fingerprint() == read(f"parquet:{tmp_path}/hub/**/*.parquet").fingerprint()


def test_folders_above_the_tables_say_nothing_of_splits(tmp_path: Path, read: Read, contents: list[bytes]) -> None:
    assert len(read(write(tmp_path / "test" / "pets.parquet", contents, [0, 1] * 3)).train) == 6


def test_a_table_and_a_folder_of_the_same_images_have_the_same_fingerprint(tmp_path: Path, read: Read) -> None:
    tree = digit_tree(60, 4)
    path = write(tmp_path / "a.parquet", [encoded(tree[name]) for name in tree], [name[0] for name in tree])
    assert read(path).fingerprint() == read(plant(tmp_path / "photos", tree)).fingerprint()


def test_empty_and_damaged_cells_are_left_out_and_named(tmp_path: Path, read: Read, contents: list[bytes]) -> None:
    path = write(tmp_path / "a.parquet", [*contents, None, b"no image"], [0, 1] * 4)
    found = left_out(read(path))
    assert found["a.parquet row 6"] == "it can't be read: the cell is empty"
    assert found["a.parquet row 7"].startswith("can't be read as an image")
    assert len(found) == 2


@pytest.mark.parametrize(("labels", "names", "message"), [
    ([0, None, 1, 1, None, None], (), r"3 of 6 rows have no label \(a.parquet row 1, a.parquet row 4, a.parquet row"),
    ([0, 1, 2, 0, 1, 2], ("cat", "dog"), "received the label '2'; expected 0 to 1"),
    ([0.5, 1.5] * 3, (), "the labels in 'label' are double; expected whole numbers or texts"),
    ([1] * 6, (), "received one class, '1'"),
])
def test_unsuitable_labels_are_refused_in_one_line(
    tmp_path: Path, read: Read, contents: list[bytes], labels: list[object], names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=rf"^[^\n]*a.parquet: [^\n]*{message}[^\n]*$"):
        read(write(tmp_path / "a.parquet", contents, labels, names=names))


def test_what_is_no_table_of_images_is_refused(tmp_path: Path, read: Read, contents: list[bytes]) -> None:
    whole = write(tmp_path / "a.parquet", contents, [0, 1] * 3).read_bytes()
    for content in (b"", b"none", whole[:-9], whole[: len(whole) // 2]):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"^[^\n]*a.parquet: [^\n]*expected a complete parquet file[^\n]*$"):
            read(tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [1, 2], "label": [0, 1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"received the columns image, label; expected "):
        read(tmp_path / "b.parquet")
    with pytest.raises(UsageError, match="no such file; expected parquet files, a folder of them or a pattern"):
        read(f"parquet:{tmp_path}/*.pq")
    with pytest.raises(UsageError, match="received no path; expected parquet:PATH"):
        read("parquet:")


@pytest.mark.real
def test_the_real_cifar10_of_the_hub_is_read(
    tmp_path: Path, read: Read, real_data: Path, photographs: tuple[np.ndarray, np.ndarray]
) -> None:
    table = pq.read_table(next((real_data / "cifar10").rglob("test-*.parquet"))).slice(0, 600)
    pq.write_table(table, tmp_path / "some.parquet", row_group_size=100)
    dataset = read(tmp_path / "some.parquet")
    assert dataset.classes in (CIFAR10, tuple(map(str, range(10))))
    images, labels = photographs
    assert np.array_equal(dataset.train.images[:], images[np.argsort(labels, kind="stable")])


def test_a_table_with_fewer_rows_than_it_says_is_refused(tmp_path: Path, contents: list[bytes]) -> None:
    class Longer(EncodedTable):
        def __len__(self) -> int:
            return 9

    table = open_table(write(tmp_path / "a.parquet", contents, [0, 1] * 3), ("label",))
    rows = Rows([Longer(table.file, table.parquet, table.image, table.label)])
    assert [rows.read(number) for number in range(6)] == contents
    with pytest.raises(DataError, match=r"^[^\n]*a.parquet: has fewer rows than it says; [^\n]*$"):
        rows.read(6)


def test_digits_stay_grey(tmp_path: Path, read: Read) -> None:
    images, labels = digits(20)
    dataset = read(write(tmp_path / "a.parquet", list(map(encoded, images)), labels.tolist()))
    assert dataset.shape == (8, 8, 1)
