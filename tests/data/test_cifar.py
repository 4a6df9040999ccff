"""CIFAR-10 and CIFAR-100 in each layout that people have them in, whole, partial and damaged."""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from watchers import Listen

from tenfold.data import open_dataset
from tenfold.data.cifar import CIFAR10, CIFAR100, open_cifar, where_cifar
from tenfold.data.cifar_batches import read_binary, read_pickled
from tenfold.data.fetch import Archive
from tenfold.errors import DataError, FetchError, UsageError
from tenfold.progress import Advance

COUNT = 20  # images in each of the files written here
COUNTS = {"train": 5 * COUNT, "test": COUNT}
LABELS = CIFAR10.labels["class"]
BINARY, PICKLED = CIFAR10.binary, CIFAR10.pickled


@pytest.fixture
def batches(rng):
    """Six times images uint8 [20, 32, 32, 3] and labels int64 [20]."""
    return [(rng.integers(0, 256, (COUNT, 32, 32, 3), np.uint8), np.arange(COUNT) % 10) for _ in range(6)]


def planes(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def binary(images: np.ndarray, labels: np.ndarray) -> bytes:
    return np.concatenate([labels[:, None].astype(np.uint8), planes(images)], axis=1).tobytes()


def write_binary(folder: Path, batches) -> Path:
    folder.mkdir(parents=True)
    for name, batch in zip(CIFAR10.files, batches, strict=True):
        (folder / f"{name}.bin").write_bytes(binary(*batch))
    return folder


def write_pickled(folder: Path, batches) -> Path:
    folder.mkdir(parents=True)
    for name, (images, labels) in zip(CIFAR10.files, batches, strict=True):
        content = {b"data": planes(images), b"labels": labels.tolist(), b"batch_label": b"a batch"}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def open_small(access, version=CIFAR10):
    return open_cifar(version, "class", "cifar10", access, COUNTS)


def check(dataset, batches) -> None:
    assert dataset.classes == LABELS.classes
    assert dataset.shape == (32, 32, 3)
    assert np.array_equal(dataset.train.images, np.concatenate([images for images, _ in batches[:5]]))
    assert np.array_equal(dataset.train.labels, np.concatenate([labels for _, labels in batches[:5]]))
    assert np.array_equal(dataset.test.images, batches[5][0])
    assert dataset.train.images.flags.writeable
    assert dataset.validation is None


@pytest.mark.parametrize(
    ("write", "place"),
    [
        (write_binary, f"data/{BINARY}"),
        (write_pickled, f"data/{PICKLED}"),
        (write_pickled, f"keras/datasets/{PICKLED}"),
        (write_pickled, f"keras/datasets/{PICKLED}-target/{PICKLED}"),
    ],
)
def test_official_files_give_exact_pixels(tmp_path, access, batches, write, place):
    folder = write(tmp_path / place, batches)
    assert where_cifar(CIFAR10, access.root) == str(folder)
    dataset = open_small(access)
    check(dataset, batches)
    assert not dataset.train.partial
    assert ("Keras" in dataset.train.describe()) == place.startswith("keras")


@pytest.mark.parametrize("place", ["cifar10/plain_text", "plain_text", "cifar10"])
@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_gives_exact_pixels(root, access, batches, write_parquet, place, column):
    for i, (images, labels) in enumerate(batches[:5]):
        write_parquet(root / place / f"train-0000{i}-of-00005.parquet", images, labels, column)
    write_parquet(root / place / "test-00000-of-00001.parquet", *batches[5], column)
    check(open_small(access), batches)


def test_a_partial_parquet_split_is_marked_partial(root, access, batches, write_parquet):
    write_parquet(root / "cifar10/plain_text/train-00000-of-00001.parquet", *batches[0])
    write_parquet(root / "cifar10/plain_text/test-00000-of-00001.parquet", *batches[1])
    dataset = open_small(access)
    assert len(dataset.train) == COUNT
    assert dataset.train.partial
    assert dataset.train.describe().endswith("PARTIAL, 20 of 100 images")
    assert not dataset.test.partial
    assert open_dataset("cifar10", root=root).test.describe().endswith("PARTIAL, 20 of 10,000 images")


def test_more_parquet_rows_than_official_are_refused(root, access, batches, write_parquet):
    for i in range(6):
        write_parquet(root / f"cifar10/train-0000{i}-of-00005.parquet", *batches[i])
    write_parquet(root / "cifar10/test-00000-of-00001.parquet", *batches[5])
    with pytest.raises(DataError, match="received 120 images; expected at most 100"):
        open_small(access)


def test_the_first_layout_found_is_used(root, access, batches):
    write_pickled(root / PICKLED, batches[::-1])
    write_binary(root / BINARY, batches)
    check(open_small(access), batches)


def test_missing_data_names_the_expected_files_and_the_fetch_command(root):
    with pytest.raises(DataError, match="tenfold data fetch cifar10") as caught:
        open_dataset("cifar10", root=root)
    assert str(root) in str(caught.value)
    assert list(root.iterdir()) == []
    assert where_cifar(CIFAR10, root) is None


def test_options_are_refused(root):
    with pytest.raises(UsageError, match="has no options"):
        open_dataset("cifar10:small", root=root)


# ----------------------------------------------------------------------------------------------------
# damage


def test_a_truncated_binary_file(root, access, batches):
    file = write_binary(root / BINARY, batches) / "data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: received 61,459 bytes; expected 61,460"):
        open_small(access)


def test_a_missing_file(root, access, batches):
    (write_binary(root / BINARY, batches) / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch\.bin is missing"):
        open_small(access)


def test_every_file_must_have_the_official_number_of_images(root, batches):
    write_binary(root / BINARY, batches)
    with pytest.raises(DataError, match=r"expected 30,730,000 \(10,000 images\)"):
        open_dataset("cifar10", root=root)


def test_a_label_out_of_range(root, batches):
    images, labels = batches[0]
    labels[7] = 10
    (root / "file.bin").write_bytes(binary(images, labels))
    with pytest.raises(DataError, match="image 7 has the label 10; expected 0 to 9"):
        read_binary(root / "file.bin", COUNT, LABELS, 0, 1)
    (root / "batch").write_bytes(pickle.dumps({"data": planes(images), "labels": labels.tolist()}))
    with pytest.raises(DataError, match="image 7 has the label 10; expected 0 to 9"):
        read_pickled(root / "batch", COUNT, LABELS)


class Evil:
    def __reduce__(self):
        return os.system, ("echo pwned > pwned",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_is_refused_and_runs_nothing(root, monkeypatch, protocol):
    monkeypatch.chdir(root)
    (root / "batch").write_bytes(pickle.dumps({"data": Evil(), "labels": []}, protocol=protocol))
    with pytest.raises(DataError, match=r"batch: refused: the pickle uses (posix|nt)\.system"):
        read_pickled(root / "batch", COUNT, LABELS)
    assert not (root / "pwned").exists()


@pytest.mark.parametrize("protocol", range(5))
def test_ordinary_arrays_are_read_up_to_pickle_protocol_4(root, batches, protocol):
    images, labels = batches[0]
    content = {"data": planes(images), "labels": labels.tolist()}
    (root / "batch").write_bytes(pickle.dumps(content, protocol))
    assert np.array_equal(read_pickled(root / "batch", COUNT, LABELS)[0], images)


def test_python_2_pickles_are_read(root, batches):
    images, labels = batches[0]
    content = pickle.dumps({b"data": planes(images), b"labels": labels.tolist()}, protocol=2)
    (root / "batch").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert np.array_equal(read_pickled(root / "batch", COUNT, LABELS)[0], images)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the pickle is damaged"),
        (b"\x80\x02}q\x00(U", "the pickle is damaged"),
        (pickle.dumps([1, 2]), "received nothing as 'data'"),
        (pickle.dumps({"data": np.zeros((3, 3072), np.uint8)}), r"received uint8 \[3, 3072\]"),
        (pickle.dumps({"data": np.zeros((COUNT, 3072)), "labels": [0] * COUNT}), "received float64"),
        (pickle.dumps({"data": np.zeros((COUNT, 3072), "u1"), "labels": [0]}), "1 whole numbers"),
    ],
)
def test_a_damaged_pickle(root, content, reason):
    (root / "batch").write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_pickled(root / "batch", COUNT, LABELS)
    assert "batch" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_pickle(root, batches):
    file = write_pickled(root / PICKLED, batches) / "data_batch_1"
    file.write_bytes(file.read_bytes()[:30_000])
    with pytest.raises(DataError, match="data_batch_1: the pickle is damaged"):
        read_pickled(file, COUNT, LABELS)


def test_damaged_parquet(root, access, batches, write_parquet):
    images, labels = batches[0]
    train = write_parquet(root / "cifar10/train-0.parquet", images, labels)
    with pytest.raises(DataError, match=r"no test-\*\.parquet in this folder"):
        open_small(access)
    test = write_parquet(root / "cifar10/test-0.parquet", images[:, :30], labels)
    with pytest.raises(DataError, match=r"test-0\.parquet, row 0: .*it has 32×30 pixels; expected 32×32"):
        open_small(access)
    write_parquet(test, images, labels + 5)
    with pytest.raises(DataError, match="row 5: received the label 10; expected 0 to 9"):
        open_small(access)
    write_parquet(test, images, labels, column="picture")
    with pytest.raises(DataError, match="received the columns picture, label; expected 'label' and 'img' or 'image'"):
        open_small(access)
    train.write_bytes(train.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-0\.parquet: .*expected a complete parquet file") as caught:
        open_small(access)
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------------------------------------
# fetching


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in CIFAR10.files:
            tar.add(folder / f"{name}.bin", f"{BINARY}/{name}.bin")
    return buffer.getvalue()


def test_missing_data_is_downloaded_once(tmp_path, root, access, batches, server):
    server.content = packed(write_binary(tmp_path / "official", batches))
    digest = hashlib.sha256(server.content).hexdigest()
    archive = Archive(server.url("cifar.tar.gz"), digest, len(server.content))
    listen = Listen()
    fetching = replace(access, fetch=True, watcher=listen)
    for _ in range(2):
        check(open_small(fetching, replace(CIFAR10, archive=archive)), batches)
    assert len(server.ranges) == 1
    assert listen.said[0].startswith("downloading")
    assert Advance("download", len(server.content), len(server.content), "bytes") in listen.events
    assert [path.name for path in root.iterdir()] == [BINARY]


def test_an_archive_put_there_by_hand_is_used_and_kept(tmp_path, root, access, batches, server):
    content = packed(write_binary(tmp_path / "official", batches))
    (root / "cifar.tar.gz").write_bytes(content)
    archive = Archive(server.url("cifar.tar.gz"), hashlib.sha256(content).hexdigest(), len(content))
    check(open_small(replace(access, fetch=True), replace(CIFAR10, archive=archive)), batches)
    assert server.ranges == []
    assert sorted(path.name for path in root.iterdir()) == [BINARY, "cifar.tar.gz"]


def test_an_archive_with_a_wrong_hash_is_not_unpacked(root, access, server):
    server.content = b"something else"
    version = replace(CIFAR10, archive=replace(CIFAR10.archive, url=server.url("cifar.tar.gz")))
    with pytest.raises(FetchError, match=CIFAR10.archive.sha256):
        open_small(replace(access, fetch=True), version)
    assert list(root.iterdir()) == []


# ----------------------------------------------------------------------------------------------------
# CIFAR-100


@pytest.fixture
def hundred(rng):
    """Images, fine and coarse labels of 40 training and 10 test images."""
    return {name: (rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) * 7 % 100, np.arange(n) % 20)
            for name, n in (("train", 40), ("test", 10))}


def write_hundred(layout: str, folder: Path, hundred, write_parquet) -> None:
    folder.mkdir(parents=True)
    for name, (images, fine, coarse) in hundred.items():
        if layout == "binary":
            records = [coarse[:, None].astype(np.uint8), fine[:, None].astype(np.uint8), planes(images)]
            (folder / f"{name}.bin").write_bytes(np.concatenate(records, axis=1).tobytes())
        elif layout == "pickled":
            content = {"data": planes(images), "fine_labels": fine.tolist(), "coarse_labels": coarse.tolist()}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        else:
            labels = {"fine_label": fine, "coarse_label": coarse}
            write_parquet(folder / f"{name}-00000-of-00001.parquet", images, labels)


@pytest.mark.parametrize(("layout", "place"), [
    ("binary", "data/cifar-100-binary"), ("pickled", "data/cifar-100-python"),
    ("pickled", "keras/datasets/cifar-100-python-target/cifar-100-python"),
    ("parquet", "data/cifar100/cifar100"), ("parquet", "data/cifar100"),
])
def test_cifar100_has_fine_or_coarse_labels(tmp_path, access, hundred, write_parquet, layout, place):
    write_hundred(layout, tmp_path / place, hundred, write_parquet)
    assert where_cifar(CIFAR100, access.root) == str(tmp_path / place)
    assert where_cifar(CIFAR10, access.root) is None
    for position, (kind, count, name) in enumerate([("fine", 100, "aquarium_fish"), ("coarse", 20, "fish")], 1):
        dataset = open_cifar(CIFAR100, kind, "cifar100", access, {"train": 40, "test": 10})
        assert len(dataset.classes) == count
        assert dataset.classes[1] == name
        for split in ("train", "test"):
            assert np.array_equal(dataset.splits()[split].images, hundred[split][0])
            assert np.array_equal(dataset.splits()[split].labels, hundred[split][position])
            assert not dataset.splits()[split].partial


def test_the_uri_of_cifar100_says_which_labels(root, hundred, write_parquet):
    write_hundred("parquet", root / "cifar100", hundred, write_parquet)
    assert open_dataset("cifar100", root).uri == open_dataset("cifar100:labels=fine", root).uri == "cifar100"
    assert open_dataset("cifar100:labels=coarse", root).uri == "cifar100:labels=coarse"
    with pytest.raises(UsageError, match=r"labels: received 'both'; expected fine or coarse"):
        open_dataset("cifar100:labels=both", root)


def test_a_wrong_label_of_cifar100_is_named(root, access, hundred, write_parquet):
    hundred["test"][2][3] = 20
    write_hundred("binary", root / "cifar-100-binary", hundred, write_parquet)
    counts = {"train": 40, "test": 10}
    assert len(open_cifar(CIFAR100, "fine", "cifar100", access, counts).test) == 10
    with pytest.raises(DataError, match=r"test\.bin: image 3 has the label 20; expected 0 to 19"):
        open_cifar(CIFAR100, "coarse", "cifar100", access, counts)


# ----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_real_cifar10(real_data):
    dataset = open_dataset("cifar10", root=real_data)
    assert dataset.train.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(dataset.train.labels).tolist() == [5000] * 10
    # Published means of the training pixels: 0.4914, 0.4822, 0.4465.
    assert np.allclose(dataset.train.images.mean(axis=(0, 1, 2)) / 255, [0.4914, 0.4822, 0.4465], atol=1e-4)
    assert dataset.test.partial == (len(dataset.test) < 10_000)
