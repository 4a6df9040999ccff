"""MNIST and Fashion-MNIST as IDX files, npz and parquet, whole and damaged."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import open_dataset
from tenfold.data.fetch import Archive
from tenfold.data.mnist import COUNTS, FASHION, MNIST, idx_name, open_layout, read_idx
from tenfold.errors import DataError

SMALL = {"train": 30, "test": 10}


@pytest.fixture
def arrays(rng):
    """Images uint8 [n, 28, 28] and labels uint8 [n] of both splits."""
    return {name: (rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8))
            for name, n in SMALL.items()}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, arrays, dot: bool = False, ending: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in arrays.items():
        for kind, array in (("images", images), ("labels", labels)):
            name = idx_name(split, kind)
            content = idx(array)
            path = folder / ((name.replace("-idx", ".idx") if dot else name) + ending)
            path.write_bytes(gzip.compress(content) if ending else content)


def write_npz(path: Path, arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (x_train, y_train), (x_test, y_test) = arrays["train"], arrays["test"]
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def check(dataset, arrays) -> None:
    assert dataset.shape == (28, 28, 1)
    for name, split in dataset.splits().items():
        assert np.array_equal(split.images[..., 0], arrays[name][0])
        assert np.array_equal(split.labels, arrays[name][1])
        assert split.images.flags.writeable
    assert list(dataset.splits()) == ["train", "test"]


@pytest.mark.parametrize("folder", ["mnist", ".", "MNIST/raw"])
@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(root, access, arrays, folder, dot, ending):
    write_idx(root / folder, arrays, dot, ending)
    check(open_layout(MNIST, access, SMALL), arrays)


@pytest.mark.parametrize("place", ["data/mnist.npz", "data/mnist/mnist.npz", "keras/datasets/mnist.npz"])
def test_npz(tmp_path, access, arrays, place):
    write_npz(tmp_path / place, arrays)
    dataset = open_layout(MNIST, access, SMALL)
    check(dataset, arrays)
    assert "mnist.npz" in dataset.train.describe()


def test_parquet_may_be_partial(root, access, arrays, write_parquet):
    for name, (images, labels) in arrays.items():
        write_parquet(root / f"mnist/mnist/{name}-00000-of-00001.parquet", images[..., None], labels, "image")
    dataset = open_layout(MNIST, access, {"train": 30, "test": 50})
    check(dataset, arrays)
    assert not dataset.train.partial
    assert dataset.test.describe().endswith("PARTIAL, 10 of 50 images")


def test_fashion_mnist_lies_in_its_own_folder(root, tmp_path, access, arrays):
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match="fashion-mnist is not in"):
        open_layout(FASHION, replace(access, fetch=True), SMALL)
    write_idx(tmp_path / "keras/datasets/fashion-mnist", arrays, ending=".gz")
    dataset = open_layout(FASHION, access, SMALL)
    check(dataset, arrays)
    assert dataset.classes[9] == "ankle boot"


def test_the_official_counts_are_asked_for(root, arrays):
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match=r"uint8 \[30, 28, 28\]; expected uint8 \[60000, 28, 28\]"):
        open_dataset("mnist", root=root)


def test_a_missing_file_and_a_wrong_label(root, access, arrays):
    arrays["test"][1][3] = 10
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match="test labels run up to 10; expected 0 to 9"):
        open_layout(MNIST, access, SMALL)
    (root / "mnist" / idx_name("test", "labels")).unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing"):
        open_layout(MNIST, access, SMALL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: b"", "begins with nothing"),
        (lambda content: b"\x00\x00\x08\x01" + content[4:], "begins with 00000801"),
        (lambda content: content[:-1], r"received 7,839 bytes after the header; expected 7,840 \(10×28×28\)"),
        (lambda content: content + b"\x00", "received more than 7,840"),
        (lambda content: content[:4] + b"\xff" * 12, "expected 79,228,162"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_idx_file(root, arrays, change, reason, ending):
    path = root / f"file{ending}"
    content = change(idx(arrays["test"][0]))
    path.write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(DataError, match=reason) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_truncated_or_false_gzip(root, arrays):
    path = root / "file.gz"
    path.write_bytes(gzip.compress(idx(arrays["test"][0]))[:-500])
    with pytest.raises(DataError, match="expected a complete file"):
        read_idx(path, 3)
    path.write_bytes(idx(arrays["test"][0]))
    with pytest.raises(DataError, match="expected a complete file"):
        read_idx(path, 3)


def test_a_damaged_npz(root, access, arrays):
    path = write_npz(root / "mnist.npz", arrays)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"mnist\.npz: .*expected an npz file with x_train"):
        open_layout(MNIST, access, SMALL)
    np.savez(path, x_train=np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="y_train"):
        open_layout(MNIST, access, SMALL)
    objects = np.empty(1, object)
    np.savez(path, x_train=objects, y_train=objects, x_test=objects, y_test=objects)
    with pytest.raises(DataError, match="allow_pickle=False"):
        open_layout(MNIST, access, SMALL)


def test_what_is_missing_is_fetched(tmp_path, root, access, arrays, server):
    server.content = write_npz(tmp_path / "official.npz", arrays).read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    layout = replace(MNIST, archive=Archive(server.url("mnist.npz"), digest, len(server.content)))
    with pytest.raises(DataError, match="tenfold data fetch mnist"):
        open_layout(layout, access, SMALL)
    assert server.ranges == []
    check(open_layout(layout, replace(access, fetch=True), SMALL), arrays)
    check(open_layout(layout, access, SMALL), arrays)
    assert len(server.ranges) == 1


@pytest.mark.real
def test_the_real_mnist(real_data):
    dataset = open_dataset("mnist", root=real_data)
    assert {name: len(split) for name, split in dataset.splits().items()} == COUNTS
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # images of each digit
    assert np.bincount(dataset.test.labels).tolist() == published
    assert not dataset.train.partial
